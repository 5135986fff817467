"""Which corrupted tokens are prompts of a model, to the last id and the last position."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from analysis.errors import PromptError
from analysis.sweep.caches import as_tokens
from tests.families import CONTEXT_LENGTH, VOCABULARY_SIZE
from tests.runs import family_model

LAST_ID = VOCABULARY_SIZE - 1


@pytest.mark.parametrize(
    "tokens",
    [[[0, LAST_ID]], [0, LAST_ID], torch.tensor([[0, LAST_ID]], dtype=torch.int16), [[1] * CONTEXT_LENGTH]],
    ids=["ids at either end", "one prompt", "short integers", "as long as can be"],
)
def test_what_the_model_can_read_is_taken_as_it_stands(tokens: Any):
    found = as_tokens(family_model("gpt2"), tokens)
    expected = torch.as_tensor(tokens).long()
    assert torch.equal(found, expected if expected.ndim == 2 else expected[None])
    assert found.dtype == torch.int64


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        ([[0, VOCABULARY_SIZE]], f"holds the id {VOCABULARY_SIZE}; the model's ids go from 0 to {LAST_ID}"),
        ([[LAST_ID, -1]], f"holds the id -1; the model's ids go from 0 to {LAST_ID}"),
        ([[-1, VOCABULARY_SIZE]], "holds the id -1"),
        (
            [[1] * (CONTEXT_LENGTH + 1)],
            f"has {CONTEXT_LENGTH + 1} tokens, and the model reads at most {CONTEXT_LENGTH}",
        ),
        ([[1.0, 2.0]], r"holds torch\.float64, and token ids are integers"),
        ([[True, False]], r"holds torch\.bool, and token ids are integers"),
        ([[[1, 2]]], r"has the shape \[1, 1, 2\], and must be \[batch, pos\] and not empty"),
        ([[]], r"must be \[batch, pos\] and not empty|token ids are integers"),
        ([[1, 2], [1]], r"is list and no array of token ids\. Give model\.to_tokens"),
    ],
    ids=str,
)
def test_what_it_cannot_read_is_refused_with_the_limit(tokens: Any, says: str):
    with pytest.raises(PromptError, match=says):
        as_tokens(family_model("gpt2"), tokens)
