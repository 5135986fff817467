"""What a call comes to, whatever form its arguments have: numbers, or a sentence."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from analysis.errors import PathscopeError
from tests.argument_forms import EITHER, REFUSED, SAME, Meaning

thorough = settings(derandomize=True, deadline=None, max_examples=100, database=None)


def outcome(function: Any, *arguments: Any, **options: Any) -> Tensor | str:
    """What a call comes to: its numbers or its sentence. Anything else is an error of the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return torch.as_tensor(function(*arguments, **options))
    except PathscopeError as error:
        return str(error)


def agrees(
    found: Tensor | str, plain: Tensor | str, meaning: Meaning, shape: tuple[int, ...], atol: float = 1e-9
) -> None:
    """Fail unless what came of a form is what its meaning allows."""
    if isinstance(found, str):
        assert meaning is not SAME or isinstance(plain, str), f"refused: {found}"
        assert len(found.split()) > 5 and found.endswith("."), f"no sentence: {found!r}"
        return
    assert meaning is not REFUSED, f"answered with {tuple(found.shape)}"
    assert tuple(found.shape) == shape
    assert torch.isfinite(found.double()).all()
    if meaning is SAME:
        assert isinstance(plain, Tensor)
        torch.testing.assert_close(found.double(), plain.double(), rtol=0, atol=atol)


def worst(*meanings: Meaning) -> Meaning:
    if REFUSED in meanings:
        return REFUSED
    return EITHER if EITHER in meanings else SAME


def usually(plain: Any, others: list[Any]) -> st.SearchStrategy[Any]:
    """Mostly the plain form, so that examples with one odd argument are common."""
    return st.one_of(st.just(plain), st.just(plain), st.sampled_from(others))
