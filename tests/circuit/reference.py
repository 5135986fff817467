"""A set of edges patched the slow way, reader by reader, by the model's own forward and hooks on it.

Layer after layer every patched reader is asked, in the run as it has become so far, what it makes of a stream
in which its patched writers write what they write in the clean run; that is put in place for good. What a
writer writes so far is read anew each time. Nothing here is shared with `analysis`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack

import torch
from jaxtyping import Float
from torch import Tensor

from tests.edges.reference import Labels, _seen_by, _write, mlp_input_with
from tests.reference import _patched_input, _put, _read
from tests.runs import KeepFloat64, Runs


def patched_set(
    runs: Runs, edges: Collection[Labels], *, constant: bool = False
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits of the corrupted run in which all `edges` carry the clean run, with replace semantics.

    `constant` adds what the writers differ by in the two runs instead, which counts a change twice that
    has come through an earlier edge.
    """
    model = runs.model
    with ExitStack() as stack, KeepFloat64(), torch.no_grad():

        def lacks(reader: str) -> Tensor | None:
            """What the patched writers of `reader` lack now to the clean run."""
            writers = [writer for writer, read_by in edges if read_by == reader]
            if not writers:
                return None
            now = runs.corrupted_cache if constant else model.run_with_cache(runs.corrupted_tokens)[1]
            lacking = [_write(runs, runs.clean_cache, each) - _write(runs, now, each) for each in writers]
            return torch.stack(lacking).sum(0)

        for layer in range(model.cfg.n_layers):
            _heads(runs, layer, lacks, stack)
            if (delta := lacks(f"MLP{layer}")) is not None:
                stack.enter_context(model.hooks([mlp_input_with(runs, layer, delta, "exact")]))
        if (delta := lacks("logits")) is not None:
            stack.enter_context(_seen_by(model.ln_final, "ln_final", delta, runs, "exact"))
        return model(runs.corrupted_tokens)


def _heads(runs: Runs, layer: int, lacks: Callable[[str], Tensor | None], stack: ExitStack) -> None:
    """Put in place the z of every head of `layer` of which q, k or v is patched."""
    attn, n_heads = f"blocks.{layer}.attn", runs.model.cfg.n_heads
    z, patched = _read(runs, f"{attn}.hook_z"), False
    for head in range(n_heads):
        puts = []
        for component in "qkv":
            if (delta := lacks(f"L{layer}H{head}.{component}")) is None:
                continue
            with _patched_input(runs, layer, delta, "exact"):
                projected = _read(runs, f"{attn}.hook_{component}")
            own = head * projected.shape[2] // n_heads
            puts.append((f"{attn}.hook_{component}", _put(projected, own)))
        if puts:
            z[:, :, head], patched = _read(runs, f"{attn}.hook_z", *puts)[:, :, head], True
    if patched:
        stack.enter_context(runs.model.hooks([(f"{attn}.hook_z", lambda value, hook: z)]))
