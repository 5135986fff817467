"""Prompt pairs: what aligns passes unchanged, and what does not comes with a fix that works."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest
import torch

from analysis import models
from analysis.errors import AnswerError, ModelError, PathscopeError, PromptError, Remedy
from analysis.experiment import Runs, prompts
from analysis.requests import Experiment
from tests.families import FAMILIES
from tests.runs import family_model

GOOD = Experiment(
    model="demo",
    clean="When Mary and John went to the store, John gave a drink to",
    corrupted="When Mary and John went to the store, Mary gave a drink to",
    answer=" Mary",
    foil=" John",
)


@pytest.fixture(scope="module")
def bridge() -> Any:
    return models.load("demo").bridge


def error_of(bridge: Any, **fields: str) -> PathscopeError:
    with pytest.raises(PathscopeError) as caught:
        prompts.prepare(bridge, replace(GOOD, **fields))
    assert "\n" not in str(caught.value)
    return caught.value


# Pairs that pass


def test_a_pair_holds_ids_and_texts_side_by_side(bridge: Any):
    pair = prompts.prepare(bridge, GOOD)
    assert pair.clean.shape == pair.corrupted.shape == (1, len(pair.clean_tokens))
    assert pair.clean.dtype == torch.long
    assert pair.clean_tokens[-6:] == (",", " John", " gave", " a", " drink", " to")
    differing = [
        i for i, (a, b) in enumerate(zip(pair.clean_tokens, pair.corrupted_tokens, strict=True)) if a != b
    ]
    assert differing == (pair.clean != pair.corrupted)[0].nonzero()[:, 0].tolist() == [10]
    assert (pair.answer, pair.foil) == (bridge.to_single_token(" Mary"), bridge.to_single_token(" John"))
    assert pair.differences == (10,) and not pair.identical


def test_identical_prompts_pass_and_are_known_as_such(bridge: Any):
    assert prompts.prepare(bridge, replace(GOOD, corrupted=GOOD.clean)).identical


def test_tokens_that_look_alike_are_told_apart_by_their_ids():
    bridge = family_model("gpt2")
    pair = prompts.prepare(bridge, replace(GOOD, clean=" a é", corrupted=" a è", answer=" g", foil=" h"))
    assert pair.clean_tokens == pair.corrupted_tokens and not pair.identical
    assert pair.differences == (pair.clean.shape[1] - 1,)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_token_is_the_models_own_default(family: str):
    model = family_model(family, torch.float32)
    pair = prompts.prepare(model, Experiment(family, "ab c", "ab d", " x", " y"))
    assert torch.equal(pair.clean, model.to_tokens("ab c"))


@pytest.mark.parametrize("family", ["gpt2", "pythia"])
def test_a_bos_token_in_the_text_is_not_doubled(family: str):
    model = family_model(family, torch.float32)
    bos = model.tokenizer.bos_token
    pair = prompts.prepare(model, Experiment(family, f"{bos}ab", f"{bos}ac", " x", " y"))
    assert pair.clean_tokens == (bos, "a", "b")


def test_a_special_token_within_a_prompt_is_one_token(bridge: Any):
    end = bridge.tokenizer.eos_token
    pair = prompts.prepare(
        bridge, replace(GOOD, clean=f"A{end}{GOOD.clean}", corrupted=f"A{end}{GOOD.corrupted}")
    )
    assert pair.clean_tokens.count(end) == 2


def test_a_prompt_as_long_as_the_context_passes(bridge: Any):
    words = " the" * (bridge.cfg.n_ctx - 1)
    assert prompts.prepare(bridge, replace(GOOD, clean=words, corrupted=words)).clean.shape == (
        1,
        bridge.cfg.n_ctx,
    )


# Prompts that do not


@pytest.mark.parametrize("text", ["", "   ", "\n"])
@pytest.mark.parametrize(("field", "other"), [("clean", GOOD.corrupted), ("corrupted", GOOD.clean)])
def test_an_empty_prompt_is_named(bridge: Any, field: str, other: str, text: str):
    error = error_of(bridge, **{field: text})
    assert isinstance(error, PromptError)
    assert str(error).startswith(f"The {field} prompt is empty.")
    assert [(remedy.field, remedy.value) for remedy in error.remedies] == [(field, other)]


def test_a_prompt_past_the_context_names_both_numbers(bridge: Any):
    n_ctx = bridge.cfg.n_ctx
    error = error_of(bridge, corrupted=" the" * (n_ctx + 6))
    assert str(error) == (
        f"The corrupted prompt has {n_ctx + 7} tokens, and this model reads at most {n_ctx}. Shorten it by 7."
    )


def test_different_lengths_name_the_tokens_and_show_both_lists(bridge: Any):
    error = error_of(bridge, corrupted=GOOD.corrupted.replace("Mary gave", "Mary then gave"))
    text = str(error)
    assert "The clean prompt has 15 tokens and the corrupted prompt 16" in text
    assert (
        "At position 10 the clean prompt has 1 (' John') where the corrupted one has 2 (' Mary', ' then')"
        in text
    )
    assert "Clean: '<|endoftext|>', 'When', ' Mary'" in text
    assert "Corrupted: '<|endoftext|>', 'When', ' Mary'" in text


UNEQUAL = {
    "a space at the end": ({"corrupted": f"{GOOD.corrupted} "}, GOOD.corrupted),
    "spaces at the end of the clean one": ({"clean": f"{GOOD.clean}   "}, GOOD.clean),
    "spaces at both ends": ({"corrupted": f"   {GOOD.corrupted}  "}, GOOD.corrupted),
    "two spaces between words": ({"corrupted": GOOD.corrupted.replace("to the", "to   the")}, GOOD.corrupted),
    "a name of many tokens": (
        {"corrupted": GOOD.corrupted.replace("Mary gave", "Xyzzyxa gave")},
        GOOD.corrupted,
    ),
    "a name of many words": (
        {"corrupted": GOOD.corrupted.replace("Mary gave", "Mary Jane Xyz gave")},
        GOOD.corrupted.replace("Mary gave", "Tom gave"),
    ),
    "words too many": ({"clean": f"{GOOD.clean} a man and"}, GOOD.clean),
}


@pytest.mark.parametrize("case", UNEQUAL)
def test_the_nearest_fix_of_unequal_lengths_is_offered(bridge: Any, case: str):
    fields, mended = UNEQUAL[case]
    error = error_of(bridge, **fields)
    assert mended in [remedy.value for remedy in error.remedies]


@pytest.mark.parametrize(
    "fields",
    [
        *(fields for fields, _ in UNEQUAL.values()),
        {"answer": "MARY"},
        {"answer": " Mary Jane"},
        {"foil": "JOHN"},
        {"clean": ""},
    ],
    ids=str,
)
def test_every_remedy_leads_to_a_pair_that_passes(bridge: Any, fields: dict[str, str]):
    broken = replace(GOOD, **fields)
    remedies = error_of(bridge, **fields).remedies
    assert remedies
    for remedy in remedies:
        pair = prompts.prepare(bridge, replace(broken, **{remedy.field: remedy.value}))
        assert pair.identical == (remedy.label == "Start from the other prompt")


def test_prompts_with_nothing_in_common_are_refused_without_a_guess(bridge: Any):
    error = error_of(bridge, clean="one two three", corrupted="of a and to in")
    assert isinstance(error, PromptError)
    assert error.remedies == ()


def test_a_long_list_of_tokens_is_cut_in_the_middle(bridge: Any):
    assert len(str(error_of(bridge, clean=" the" * 100, corrupted=" the" * 90))) < 1000


# Answers


def test_an_answer_of_several_tokens_shows_its_pieces_and_the_form_with_a_space():
    model = family_model("gpt2", torch.float32)
    with pytest.raises(AnswerError) as caught:
        prompts.prepare(model, Experiment("gpt2", "ab c", "ab d", "  a", " y"))
    assert str(caught.value).startswith("The answer '  a' is 2 tokens (' ', ' a') and must be one.")
    assert ("answer", " a") in [(remedy.field, remedy.value) for remedy in caught.value.remedies]


def test_a_word_without_its_space_is_sent_to_the_form_with_it(bridge: Any):
    words = (bridge.tokenizer.decode([token]) for token in range(bridge.cfg.d_vocab))
    written = next(
        word[1:]
        for word in words
        if word.startswith(" ")
        and word[1:].islower()
        and len(bridge.to_tokens(word[1:], prepend_bos=False)[0]) > 1
    )
    first, *_ = error_of(bridge, answer=written).remedies
    assert (first.label, first.field) == (f"Use ' {written}', with a space before it", "answer")
    assert first.value == f" {written}"


@pytest.mark.parametrize(
    ("written", "offered"),
    [
        ("GAVE", "Use ' gave', in lower case"),
        ("MARY", "Use ' Mary', with a capital"),
    ],
)
def test_the_usual_spelling_is_offered_first(bridge: Any, written: str, offered: str):
    error = error_of(bridge, foil=written)
    assert isinstance(error, AnswerError)
    assert f"The foil {written!r} is " in str(error)
    assert error.remedies[0].label == offered
    assert error.remedies[0].field == "foil"
    assert len({remedy.value for remedy in error.remedies}) == len(error.remedies)


@pytest.mark.parametrize("field", ["answer", "foil"])
def test_an_empty_answer_is_named(bridge: Any, field: str):
    error = error_of(bridge, **{field: ""})
    assert isinstance(error, AnswerError)
    assert str(error).startswith(f"The {field} is empty.")


def test_an_answer_equal_to_the_foil_says_that_the_difference_is_zero(bridge: Any):
    error = error_of(bridge, foil=" Mary")
    assert isinstance(error, AnswerError)
    assert "both ' Mary', so their difference is always zero. Choose another foil" in str(error)


def test_a_tokenizer_of_another_model_is_recognised(monkeypatch: pytest.MonkeyPatch):
    model = family_model("llama", torch.float32)
    monkeypatch.setattr(model.cfg, "d_vocab", 40)
    with pytest.raises(
        ModelError, match=r"turns 'a' into id 65, and the model knows only 40 ids.*another model"
    ):
        prompts.prepare(model, Experiment("llama", "ab", "ac", " x", " y"))


def test_text_needs_a_tokenizer_and_an_id_does_not(monkeypatch: pytest.MonkeyPatch):
    model = family_model("llama", torch.float32)
    monkeypatch.setattr(model, "tokenizer", None)
    with pytest.raises(ModelError, match="no tokenizer: give the answer as a token id instead of ' a'"):
        prompts.single_token(model, " a", "answer")


def test_what_could_be_exchanged_must_be_named():
    """Two prompts, two answers, two runs and two texts look alike: nobody may hand them over by place."""
    places = {
        type_: [
            name
            for name, field in inspect.signature(type_).parameters.items()
            if field.kind != field.KEYWORD_ONLY
        ]
        for type_ in (prompts.PromptPair, Runs, Remedy)
    }
    assert places == {prompts.PromptPair: [], Runs: ["model", "pair"], Remedy: ["label"]}
