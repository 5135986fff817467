"""Attribution ends in an answer or a sentence, whatever form its arguments have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor
from transformer_lens.utilities import Slice

from analysis import direct_logit_attribution
from analysis.requests import UNITS
from tests.argument_forms import EITHER, REFUSED, SAME, Meaning
from tests.argument_outcomes import agrees, outcome, thorough, usually, worst
from tests.attributing import ANSWER, INCORRECT, model_of
from tests.families import CONTEXT_LENGTH, VOCABULARY_SIZE

TWO = torch.tensor([[1, 5, 66, 7], [1, 50, 61, 72]])

#: What may be asked of attribution: form -> (the argument, what it must lead to), of two prompts.
INPUTS: dict[str, tuple[Any, Meaning]] = {
    "tensor": (TWO, SAME),
    "int32 tensor": (TWO.int(), SAME),
    "array": (TWO.numpy(), SAME),
    "list": (TWO.tolist(), SAME),
    "one prompt": (TWO[0], EITHER),
    "flat list": (TWO[0].tolist(), EITHER),
    "text": ("a b c", EITHER),
    "texts": (["a b c", "d e f"], EITHER),
    "unequal texts": (["a b", "d e f"], REFUSED),
    "floats": (TWO.double(), REFUSED),
    "booleans": (TWO > 9, REFUSED),
    "nothing": (None, REFUSED),
    "empty": (TWO[:, :0], REFUSED),
    "no texts": ([], REFUSED),
    "no prompt": (TWO[:0], REFUSED),
    "three axes": (TWO[None], REFUSED),
    "scalar": (7, REFUSED),
    "ragged": ([[1, 2], [3]], REFUSED),
    "negative": (-TWO - 1, REFUSED),
    "unknown id": (TWO + VOCABULARY_SIZE, REFUSED),
    "too long": (TWO.repeat(1, CONTEXT_LENGTH), REFUSED),
    "bytes": (b"a b", REFUSED),
    "mapping": ({"a": 1}, REFUSED),
}
ANSWERS: dict[str, tuple[Any, Meaning]] = {
    "id": (ANSWER, SAME),
    "array scalar": (np.int16(ANSWER), SAME),
    "tensor": (torch.tensor(ANSWER), SAME),
    "by prompt": (torch.tensor([ANSWER, ANSWER]), SAME),
    "list": ([ANSWER, ANSWER], SAME),
    "array": (np.array([ANSWER, ANSWER]), SAME),
    "column": (torch.full((2, 1), ANSWER), SAME),
    "text": (" a", EITHER),
    "texts": ([" a", " b"], EITHER),
    "two tokens": ("ab", REFUSED),
    "no text": ("", REFUSED),
    "nothing": (None, REFUSED),
    "float": (1.5, REFUSED),
    "boolean": (True, REFUSED),
    "floats": ([1.5, 2.5], REFUSED),
    "negative": (-1, REFUSED),
    "unknown": (VOCABULARY_SIZE, REFUSED),
    "none at all": ([], REFUSED),
    "too many": (torch.arange(5), REFUSED),
    "mapping": ({"a": 1}, REFUSED),
}
#: `pos` as the last position; other choices have other shapes, and tests of their own.
LAST: dict[str, tuple[Any, Meaning]] = {
    "int": (-1, SAME),
    "counted": (TWO.shape[1] - 1, SAME),
    "array scalar": (np.int64(-1), SAME),
    "tensor": (torch.tensor(-1), SAME),
    "slice object": (Slice(-1), SAME),
    "outside": (99, REFUSED),
    "before": (-99, REFUSED),
    "float": (1.5, REFUSED),
    "boolean": (True, REFUSED),
    "text": ("last", REFUSED),
    "none of all": ([], REFUSED),
    "empty slice": ((4, 2), REFUSED),
    "slice": (slice(1, 2), EITHER),
    "float list": ([0.5], REFUSED),
    "mask": ([False, False, False, True], REFUSED),
    "float tensor": (torch.tensor([1.0]), REFUSED),
    "mapping": ({"a": 1}, REFUSED),
}
RUNS: dict[str, tuple[Any, Meaning]] = {
    "ActivationCache": (lambda cache, model: cache, SAME),
    "dictionary": (lambda cache, model: dict(cache.items()), SAME),
    "float64": (lambda cache, model: {n: v.double() for n, v in cache.items()}, SAME),
    "half": (lambda cache, model: {n: v.half() for n, v in cache.items()}, EITHER),
    "without batch": (lambda cache, model: {n: v[0] for n, v in cache.items()}, EITHER),
    "arrays": (lambda cache, model: {n: v.numpy() for n, v in cache.items()}, REFUSED),
    "integers": (lambda cache, model: {n: v.long() for n, v in cache.items()}, REFUSED),
    "empty": (lambda cache, model: {}, REFUSED),
    "list": (lambda cache, model: [1, 2], REFUSED),
    "text": (lambda cache, model: "cache", REFUSED),
    "narrow": (lambda cache, model: {n: v[..., :3] for n, v in cache.items()}, REFUSED),
    "mixed": (
        lambda cache, model: {n: v[:1, :2] if "resid" in n else v for n, v in cache.items()},
        REFUSED,
    ),
}
UNIT_FORMS: dict[Any, Meaning] = dict.fromkeys(UNITS, SAME) | {"neuron": REFUSED, None: REFUSED, 1: REFUSED}


def attributes(
    *, input: str = "tensor", answer: str = "id", foil: str = "id", pos: str = "int", run: str = "", unit: Any
) -> None:
    """The property for attribution, of an input or (where `run` names a form) of a cache."""
    model = model_of("gpt2")
    cache = RUNS[run][0](model.run_with_cache(TWO)[1], model) if run else None
    shown = INPUTS[input] if not run else (None, RUNS[run][1])
    forms = shown, ANSWERS[answer], (*ANSWERS[foil],), LAST[pos]
    meaning = worst(*(form[1] for form in forms[:2]), forms[3][1], UNIT_FORMS[unit])
    if foil != "nothing":
        meaning = worst(meaning, forms[2][1])
    elif meaning is SAME:
        meaning = EITHER

    def attribution() -> Tensor:
        return direct_logit_attribution(
            model, shown[0], forms[1][0], _other(forms[2][0]), unit=unit, pos=forms[3][0], cache=cache
        ).attribution

    found = outcome(attribution)
    plain: Tensor | str = ""
    if meaning is SAME:
        plain = direct_logit_attribution(model, TWO, ANSWER, INCORRECT, unit=unit).attribution
    shape = (
        tuple(found.shape) if isinstance(found, Tensor) and meaning is EITHER else tuple(plain_shape(unit))
    )
    agrees(found, plain, meaning, shape, atol=1e-5)


def plain_shape(unit: Any) -> tuple[int, ...]:
    return {"component": 8, "layer": 7, "head": 13}.get(unit, 0), 2


def _other(token: Any) -> Any:
    """The same form of the foil: the answer's id where one stands, exchanged for the foil's."""
    if isinstance(token, Tensor):
        return torch.where(token == ANSWER, INCORRECT, token)
    if isinstance(token, np.ndarray):
        return np.where(token == ANSWER, INCORRECT, token)
    if isinstance(token, list):
        return [INCORRECT if value == ANSWER else value for value in token]
    return INCORRECT if isinstance(token, int | np.integer) and token == ANSWER else token


@thorough
@given(
    input=usually("tensor", sorted(INPUTS)),
    answer=usually("id", sorted(ANSWERS)),
    foil=usually("id", sorted(ANSWERS)),
    pos=usually("int", sorted(LAST)),
    run=usually("", sorted(RUNS)),
    unit=usually("component", list(UNIT_FORMS)),
)
def test_every_form_of_attributions_arguments_is_answered_or_refused(input, answer, foil, pos, run, unit):
    attributes(input=input, answer=answer, foil=foil, pos=pos, run=run, unit=unit)


@pytest.mark.parametrize("form", INPUTS)
def test_every_form_of_what_is_attributed(form: str):
    attributes(input=form, unit="component")


@pytest.mark.parametrize("form", ANSWERS)
def test_every_form_of_an_answer_or_foil(form: str):
    attributes(answer=form, unit="component")
    attributes(foil=form, unit="component")


@pytest.mark.parametrize("form", LAST)
def test_every_form_of_a_position(form: str):
    attributes(pos=form, unit="component")


@pytest.mark.parametrize("unit", UNIT_FORMS, ids=repr)
@pytest.mark.parametrize("form", ["", *RUNS])
def test_every_form_of_a_run(form: str, unit: Any):
    attributes(run=form, unit=unit)


@pytest.mark.parametrize("unit", UNITS)
def test_attribution_in_inference_mode_is_the_same(unit: str):
    with torch.inference_mode():
        attributes(unit=unit)
        attributes(unit=unit, run="ActivationCache")
