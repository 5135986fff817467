"""Refusals contain the words in which TransformerLens refuses, so that who tests for those finds them."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from transformer_lens.model_bridge import TransformerBridge

from analysis import direct_logit_attribution


def mocked(*, compatible: bool = True, kinds: tuple[str, ...] = ("attn+mlp",)) -> Any:
    """A bridge that cannot run: what is refused on it is refused before any run."""
    bridge = MagicMock(spec=TransformerBridge)
    bridge.compatibility_mode, bridge.layer_types.return_value = compatible, list(kinds)
    return bridge


@pytest.mark.parametrize(
    ("model", "arguments", "error", "words"),
    [
        (
            mocked(),
            {"input": "a", "answer_tokens": " b", "unit": "neuron"},
            ValueError,
            "unit must be one of",
        ),
        (mocked(), {"input": "a"}, ValueError, "answer_tokens is required"),
        (mocked(), {"answer_tokens": " b"}, ValueError, "either `input` or `cache`"),
        (mocked(compatible=False), {"input": "a", "answer_tokens": " b"}, ValueError, "compatibility mode"),
        (
            mocked(kinds=("attn+mlp", "mamba+mlp")),
            {"input": "a", "answer_tokens": " b"},
            NotImplementedError,
            "hybrid",
        ),
    ],
    ids=["unit", "answer", "input", "compatibility", "hybrid"],
)
def test_a_refusal_contains_the_words_of_transformer_lens(
    model: Any, arguments: Any, error: type, words: str
):
    with pytest.raises(error, match=words):
        direct_logit_attribution(model, **arguments)
