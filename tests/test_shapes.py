"""Shapes in annotations are checked while the tests run, and the check can fail."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from analysis.experiment.prompts import PromptPair


def pair(clean: torch.Tensor, corrupted: torch.Tensor) -> PromptPair:
    texts = {"clean_tokens": ("a",), "corrupted_tokens": ("b",)}
    return PromptPair(clean=clean, corrupted=corrupted, answer=0, foil=1, **texts)


def test_a_shape_that_breaks_its_annotation_is_an_error():
    row = torch.zeros(1, 3, dtype=torch.long)
    pair(row, row)
    for wrong in (
        row[0],
        row.float(),
        torch.zeros(2, 3, dtype=torch.long),
        torch.zeros(1, 4, dtype=torch.long),
    ):
        with pytest.raises(TypeCheckError):
            pair(row, wrong)
