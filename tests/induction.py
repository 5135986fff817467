"""The bundled model that was set by hand, run on a prompt with and without the first half of a pair."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from analysis.induction_model import DECOY, DIRECTORY, INDUCTION, PREVIOUS
from analysis.induction_model.tokenizer import build_tokenizer
from analysis.induction_model.weights import OUTPUT_LOGIT
from tests.runs import Runs, run_pair

__all__ = ["DECOY", "INDUCTION", "OUTPUT_LOGIT", "PREVIOUS"]

_TOKENS = build_tokenizer()
CLEAN = "A B C D A"
CORRUPTED = "E B C D A"  # the first A is gone, so nothing tells what follows A
((ANSWER,), (FOIL,)) = (_TOKENS(text)["input_ids"] for text in (" B", " F"))


@lru_cache(maxsize=2)
def induction_runs(dtype: torch.dtype = torch.float32) -> Runs:
    """The model in a bridge, run on both prompts."""
    model = TransformerBridge.boot_transformers(str(DIRECTORY), device="cpu", dtype=dtype)
    model.enable_compatibility_mode(disable_warnings=True)
    model.requires_grad_(False)
    return run_pair(model.eval(), model.to_tokens(CLEAN), model.to_tokens(CORRUPTED))


def answer_over_foil(logits: Tensor) -> Tensor:
    """Logit of the answer less that of the foil at the last position."""
    return (logits[:, -1, ANSWER] - logits[:, -1, FOIL]).mean()
