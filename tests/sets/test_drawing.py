"""Pairs that are drawn: of one length, different, of words that are one token, and solved by the model."""

from __future__ import annotations

from zlib import crc32

import pytest

from analysis.answers.compute import compute
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import PathscopeError
from analysis.experiment import tokenize
from analysis.experiment.prompts import pieces
from analysis.induction_model.examples import EXAMPLES as OF_INDUCTION
from analysis.models import BUNDLED, DEMO, load, ready_examples
from analysis.results import OverviewRequest, PromptSetRequest, TextPair
from analysis.sets import READY_KINDS, TEMPLATE_SLOTS, drawn_pairs, kind_of
from analysis.sets.template import words_of_one_token
from analysis.store import Store

BASE = READY_KINDS["drinks"].first
TEMPLATE = "At the {place}, {A} met {B} and {name}, and {S} gave the {adjective} {object} to"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store.open(tmp_path_factory.mktemp("store"))


def length(text: str, model: str = DEMO) -> int:
    return len(pieces(load(model).bridge, text))


def words(text: str) -> int:
    """Every word is one token, but for long ones."""
    return sum(1 + (len(word) > 6) for word in text.split())


def test_every_ready_example_has_its_kind_and_no_other_pair_has_one():
    assert [kind.example for kind in READY_KINDS.values()] == list(dict.fromkeys((*EXAMPLES, *OF_INDUCTION)))
    assert all(kind_of(kind.first) is kind for kind in READY_KINDS.values())
    assert kind_of(BASE._replace(foil=" Tom")) is None


#: Every kind on each bundled model whose example it is.
ON = [
    (name, model)
    for name, kind in READY_KINDS.items()
    for model in BUNDLED
    if kind.example in ready_examples(model)
]


@pytest.mark.parametrize(("name", "model"), ON)
def test_five_of_a_kind_are_of_one_length_different_and_solved_both_ways(store, name, model):
    kind = READY_KINDS[name]
    pairs = compute(PromptSetRequest(kind.first.on(model)), store).prompt_set.pairs
    assert len(set(pairs)) == len(pairs) == 5 and pairs[0] == kind.first
    bridge = load(model).bridge
    lengths = {tokenize(bridge, text).shape[1] for pair in pairs for text in (pair.clean, pair.corrupted)}
    assert len(lengths) == 1
    for pair in pairs:
        assert length(pair.answer, model) == length(pair.foil, model) == 1
        clean, corrupted = compute(OverviewRequest(pair.on(model)), store).metrics["logit_difference"]
        assert clean > 1 and corrupted < -1


@pytest.mark.parametrize(("name", "first_named"), [("drinks", "answer"), ("balls", "foil")])
def test_who_gives_in_the_clean_prompt_is_the_foil_and_named_in_the_examples_order(name, first_named):
    for pair in drawn_pairs(READY_KINDS[name].first, None, 6, length):
        named = sorted(("answer", "foil"), key=lambda role: pair.clean.index(getattr(pair, role)))
        assert named[0] == first_named
        assert pair.clean.count(pair.foil) == 2 and pair.corrupted.count(pair.answer) == 2


def test_answers_and_foils_are_one_token_where_no_list_of_words_promises_it():
    pairs = drawn_pairs(READY_KINDS["landmarks"].first, None, 20, words)
    assert len(pairs) == 20
    assert all(words(text) == 1 for pair in pairs[1:] for text in (pair.answer, pair.foil))


@pytest.mark.parametrize("name", READY_KINDS)
def test_a_larger_set_begins_with_a_smaller_one(name):
    first = READY_KINDS[name].first
    assert drawn_pairs(first, None, 9, length)[:4] == drawn_pairs(first, None, 4, length)


def test_there_are_no_more_pairs_than_a_kind_has():
    # Seven days, each with six others.
    pairs = drawn_pairs(READY_KINDS["days"].first, None, 64, length)
    assert len(set(pairs)) == len(pairs) == 42


def test_a_template_is_filled_with_words_of_one_token_and_only_the_actor_differs():
    pairs = drawn_pairs(BASE, TEMPLATE, 20, length)
    assert len(set(pairs)) == 20
    assert len({length(text) for pair in pairs for text in (pair.clean, pair.corrupted)}) == 1
    for pair in pairs:
        one, other = pair.clean.split(), pair.corrupted.split()
        differ = [(ours, theirs) for ours, theirs in zip(one, other, strict=True) if ours != theirs]
        assert differ == [(pair.foil.strip(), pair.answer.strip())]
        first, second, third = (one[place].strip(",") for place in (3, 5, 7))
        assert (f" {first}", f" {second}") == (pair.answer, pair.foil)
        assert third not in (first, second)
        assert length(pair.answer) == length(pair.foil) == 1


def test_only_words_that_are_one_token_of_this_tokenizer_are_drawn():
    lists = words_of_one_token(lambda text: words(text))
    assert all(len(word) <= 6 for one in lists.values() for word in one)
    pairs = drawn_pairs(BASE, "{A} and {B} at the {place}: {S} to", 30, words)
    assert all(len(word.strip(":")) <= 6 for pair in pairs for word in pair.clean.split())


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{A} and {B} met", r"no \{S\}. \{A\} and \{B\} are two people and \{S\} is the one who acts"),
        ("nobody", r"no \{A\} and no \{B\} and no \{S\}"),
        ("{A} {B} {S} {colour}", r"no slot \{colour\}. Slots are \{A\}, \{B\}, \{S\}, \{name\}, \{place\}"),
        ("{A} {B} {S} {A.x}", r"no slot \{A\.x\}"),
        ("{A} {B} {S} }", "A brace stands alone"),
        ("{A} {B} {S}" + "x" * 500, "511 characters, and at most 500"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template, said):
    with pytest.raises(PathscopeError, match=said):
        drawn_pairs(BASE, template, 5, words)


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(
        PathscopeError, match=r"Of the words for \{name\} this model has 0 that are one token"
    ):
        drawn_pairs(BASE, "{A} {B} {S} to", 5, lambda text: 2)
    with pytest.raises(PathscopeError, match="No words were found with which both prompts"):
        drawn_pairs(
            BASE, "{A} {B} {S} to", 5, lambda text: 1 if text.startswith(" ") else crc32(text.encode())
        )
    for size in (0, 65):
        with pytest.raises(PathscopeError, match=f"1 to 64 pairs, and {size} are asked for"):
            drawn_pairs(BASE, None, size, words)
    with pytest.raises(PathscopeError, match="made for the ready examples alone"):
        drawn_pairs(TextPair("a", "b", " x", " y"), None, 5, words)


def test_every_slot_is_filled():
    template = " ".join(f"{{{slot}}}" for slot in TEMPLATE_SLOTS)
    (pair,) = drawn_pairs(BASE, template, 1, length)
    assert "{" not in pair.clean and len(pair.clean.split()) == len(TEMPLATE_SLOTS)
