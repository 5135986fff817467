"""Prompts that need not make a pair: what each of them is and brings, and what could be asked instead."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from analysis import models
from analysis.answers import answer
from analysis.demo_model.examples import EXAMPLES, Example
from analysis.demo_model.words import MONTHS
from analysis.errors import PromptLimitError
from analysis.experiment import Activations, Draft, Run, prepare, tokenize
from analysis.experiment.alternatives import alternatives
from analysis.experiment.draft import next_tokens
from analysis.requests import Experiment
from analysis.results import DraftRequest, DraftResult, OverviewRequest
from tests.experiments import on


def of(example: Example, **changed: str) -> Experiment:
    typed = Experiment("demo", example.clean, example.corrupted, example.answer, example.foil)
    return replace(typed, **changed)


def draft(example: Example = EXAMPLES[0], **changed: str) -> DraftResult:
    return answer(DraftRequest(of(example, **changed))).result


def n_tokens(text: str) -> int:
    return tokenize(models.load("demo").bridge, text).shape[1]


def test_a_pair_has_the_tokens_and_the_next_tokens_of_its_runs():
    result, overview = draft(), answer(OverviewRequest(of(EXAMPLES[0]))).result
    assert result.clean_tokens == overview.clean_tokens
    assert result.corrupted_tokens == overview.corrupted_tokens
    assert result.differences == overview.differences == (10,)
    assert result.beginning == result.clean_tokens[0]
    for told, top in (
        (result.clean_next, overview.clean_top),
        (result.corrupted_next, overview.corrupted_top),
    ):
        known = {token: probability for token, _, probability in top}
        assert len(told) == 5
        assert dict(told) == pytest.approx({token: known[token] for token, _ in told})


def test_answer_and_foil_stand_where_the_models_own_run_puts_them():
    bridge = models.load("demo").bridge
    result = draft(answer=" John", foil=" Nina")
    for run, role, told in (("clean", " John", result.answer), ("corrupted", " Nina", result.foil)):
        with torch.no_grad():
            probabilities = bridge(tokenize(bridge, getattr(EXAMPLES[0], run)))[0, -1].softmax(-1)
        own = bridge.to_single_token(role)
        assert told[0] == 1 and told[1] is not None
        assert probabilities.argsort(descending=True)[told[1] - 1] == own
        assert told[2] == pytest.approx(float(probabilities[own]), rel=1e-4)


def test_prompts_that_make_no_pair_are_drafts_all_the_same():
    longer = draft(corrupted="When Mary and John went to the store, then Mary gave a drink to")
    assert len(longer.corrupted_tokens) == len(longer.clean_tokens) + 1
    assert longer.differences == ()
    assert longer.clean_next and longer.corrupted_next
    assert "swapped_names" in [name for name, *_ in longer.alternatives]


@pytest.mark.parametrize("text", ["", "  ", " the" * 200])
def test_a_prompt_that_cannot_be_run_leaves_the_other_one_as_it_is(text: str):
    result = draft(clean=text)
    assert (result.clean_tokens, result.clean_next, result.answer[1:]) == ((), (), (None, None))
    assert result.corrupted_tokens == draft().corrupted_tokens
    assert result.foil == draft().foil
    both = draft(clean="", corrupted="", answer="", foil="")
    assert (both.clean_tokens, both.corrupted_next, both.alternatives) == ((), (), ())


def test_nothing_is_kept_of_what_only_the_settings_refuse(monkeypatch: pytest.MonkeyPatch):
    text = "The numbers go one, two, three, four,"
    for name, few in (("TOKENS", "8"), ("BYTES", "1000000")):
        with monkeypatch.context() as limited:
            limited.setenv(f"PATHSCOPE_PROMPT_{name}", few)
            with pytest.raises(PromptLimitError):
                draft(clean=text, corrupted=text)
    assert draft(clean=text, corrupted=text).clean_tokens


@pytest.mark.parametrize(("text", "pieces"), [("", 0), (" unbelievably", 5), (" Mary", 1)])
def test_an_answer_is_counted_in_tokens(text: str, pieces: int):
    count, place, probability = draft(answer=text).answer
    bridge = models.load("demo").bridge
    assert count == (bridge.to_tokens(text, prepend_bos=False).shape[1] if text else 0)
    assert (place is None) == (probability is None) == (count != 1)
    assert (count == 1) == (pieces == 1)


def test_every_next_token_can_be_typed(family_directory):
    """Of the byte-level families' tokens many are halves of characters."""
    experiment = on(family_directory("gpt2"))
    bridge = models.load(experiment.model).bridge
    result = answer(DraftRequest(experiment)).result
    assert result.clean_next
    for token, _ in (*result.clean_next, *result.corrupted_next):
        assert bridge.to_tokens(token, prepend_bos=False).shape[1] == 1


def test_half_a_character_is_no_next_token():
    bridge = models.load("demo").bridge
    [half] = bridge.to_tokens("é", prepend_bos=False)[0][:1].tolist()
    [whole] = bridge.to_tokens(" Mary", prepend_bos=False)[0].tolist()
    logits = torch.zeros(1, 1, bridge.cfg.d_vocab)
    logits[0, 0, [half, whole]] = torch.tensor([9.0, 8.0])
    told = next_tokens(
        bridge, Draft(torch.tensor([[0]]), Run(Activations(lambda: {"logits": logits}, "cpu")))
    )
    assert told[0][0] == " Mary"


@pytest.mark.parametrize(
    ("answer_", "foil", "missing"),
    [
        (" Mary", " John", ()),
        ("Mary", " John", ("answer",)),
        (" Mary", "John", ("foil",)),
        ("Mary", "John", ("answer", "foil")),
        (" Mary", ".", ()),
    ],
)
def test_a_missing_space_is_noticed(answer_: str, foil: str, missing: tuple[str, ...]):
    assert draft(answer=answer_, foil=foil).better_with_a_space == missing


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_alternative_makes_a_pair_with_the_clean_prompt(example: Example):
    bridge = models.load("demo").bridge
    offered = draft(example).alternatives
    assert {"another_example", "random_words"} <= {name for name, *_ in offered}
    for name, corrupted, foil in offered:
        pair = prepare(bridge, of(example, corrupted=corrupted, foil=foil))
        assert pair.differences, name


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_another_example_is_of_the_same_task(example: Example):
    """The model, which has learned the tasks, brings the foil that it comes with."""
    [(corrupted, foil)] = [told[1:] for told in draft(example).alternatives if told[0] == "another_example"]
    after = draft(example, corrupted=corrupted, foil=foil)
    assert after.foil[1] == 1
    assert after.foil[2] is not None and after.foil[2] > 0.5


@pytest.mark.parametrize(
    ("clean", "answer_", "swapped"),
    [
        (EXAMPLES[0].clean, " Mary", (EXAMPLES[0].corrupted, " John")),
        ("Mary saw John. John met", " Mary", ("Mary saw John. Mary met", " John")),
        ("Mary met John at the", " park", ("John met Mary at the", " Drew")),
        ("Mary met the", " park", None),
        # Names of nobody's list, which answer and foil tell.
        ("When Casey and Drew met, Drew told", " Casey", ("When Casey and Drew met, Casey told", " Drew")),
    ],
)
def test_names_are_swapped_where_there_are_two(clean: str, answer_: str, swapped: tuple[str, str] | None):
    typed = Experiment("demo", clean, "", answer_, " Drew")
    found = {name: (corrupted, foil) for name, corrupted, foil in alternatives(typed, lambda text: 1)}
    assert found.get("swapped_names") == swapped


def test_words_are_drawn_where_the_prompts_differ():
    [corrupted] = [told[1] for told in draft().alternatives if told[0] == "random_words"]
    words, drawn = (re.findall(r"\w+", text) for text in (EXAMPLES[0].clean, corrupted))
    assert [place for place, word in enumerate(words) if word != drawn[place]] == [8]


def test_an_alternative_is_as_long_as_the_clean_prompt():
    for example in EXAMPLES:
        for _, corrupted, _ in alternatives(of(example), len):
            assert len(corrupted) == len(example.clean)


@pytest.mark.parametrize("month", MONTHS[1:])
def test_the_corrupted_prompt_at_hand_is_not_offered_again(month: str):
    typed = Experiment("demo", "After January comes", f"After {month} comes", " February", " May")
    offered = {name: corrupted for name, corrupted, _ in alternatives(typed, n_tokens)}
    assert offered["another_example"] not in (typed.clean, typed.corrupted)


def test_what_is_drawn_stays_and_is_another_once_it_is_taken():
    experiment = of(EXAMPLES[0])
    first = alternatives(experiment, n_tokens)
    assert first == alternatives(experiment, n_tokens)
    for name, corrupted, foil in first[1:]:
        taken = replace(experiment, corrupted=corrupted, foil=foil)
        [again] = [told for told in alternatives(taken, n_tokens) if told[0] == name]
        assert again[1] != corrupted, name
