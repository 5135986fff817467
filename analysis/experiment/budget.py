"""What a prompt takes of memory, told before any of it is taken."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from analysis.errors import PromptLimitError
from analysis.memory import free_bytes, mebibytes
from analysis.policy import policy
from analysis.settings import settings

_BYTES_OF_A_NUMBER = 4


def prompt_bytes(cfg: Any, n_tokens: int) -> int:
    """An estimate of the memory that a prompt of `n_tokens` takes at most, beyond the model of `cfg`.

    Two things are largest. A run keeps about nine numbers per layer and width, and its logits, which are
    there four times while both prompts are stored. An attribution to heads splits the residual stream by
    head, with three copies of it. Measured on SmolLM2-135M with 250 to 1,000 tokens. Beside them one
    layer's attention scores are there three times.
    """
    kept = 9 * cfg.n_layers * cfg.d_model + cfg.d_vocab
    split = cfg.n_layers * cfg.n_heads * cfg.d_model
    scores = 3 * cfg.n_heads * n_tokens
    return _BYTES_OF_A_NUMBER * n_tokens * (max(4 * kept, kept + 3 * split) + scores)


def pairs_at_once(cfg: Any, n_tokens: int) -> int:
    """How many pairs of prompts of `n_tokens` may run together, within the memory of patched rows."""
    return max(1, int(settings().sweep_bytes) // prompt_bytes(cfg, n_tokens))


def check_memory(cfg: Any, n_tokens: int) -> None:
    """Raise `PromptLimitError` where a prompt of `n_tokens` takes more memory than is allowed or free."""
    limits = settings()
    allowed, needed = int(limits.prompt_bytes), prompt_bytes(cfg, n_tokens)
    free = free_bytes(limits.memory_bytes or None)
    if free is not None and free < allowed:
        bound, there_is, way_out = free, "free", "allow more (PATHSCOPE_MEMORY_BYTES)"
    else:
        bound, there_is, way_out = allowed, "allowed", "raise PATHSCOPE_PROMPT_BYTES"
    if needed <= bound:
        return
    fits = bisect_right(range(n_tokens), max(bound, 0), key=lambda length: prompt_bytes(cfg, length)) - 1
    locally = f", or {way_out}."
    raise PromptLimitError(
        f"A prompt of {n_tokens:,} tokens takes about {mebibytes(needed)} on this model, and "
        f"{mebibytes(bound)} are {there_is}. Shorten both prompts to {fits:,} tokens"
        + policy().way_out(locally)
    )
