"""Direct path patching the slow way: one pair of full forward passes per edge, for any family.

The specification in so many words. To patch the path from head A into component c of head B,
the corrupted prompt runs once with B's `hook_q`, `hook_k` or `hook_v` replaced, which also
disturbs every head that shares a grouped key or value; of that run only B's own `hook_z` is
kept. A second corrupted run puts that one head's z back and is read. Nothing here is shared
with `analysis`: arithmetic, weights and hooks are the model's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tests.runs import Edge, Runs

#: Largest difference from the reference, as a share of the largest effect, of a float64 model
#: that computes in float64 throughout (see `tests.runs.computed_in_float64`).
FLOAT64_TOLERANCE = 1e-9
#: Largest absolute difference, in logits, of a float64 model of a family whose own norms, scores
#: or softmax are computed in float32: noise of 6e-8 per operation, some tens of operations deep.
FLOAT32_INSIDE_TOLERANCE = 5e-6


def patched_logits(
    runs: Runs, edge: Edge, component: str, layer_norm: str, *, positions: Sequence[int] | None = None
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits of the corrupted run in which B's component c alone sees A's clean write.

    frozen: `c = c_corrupted + (delta / ln1_scale_corrupted) @ W_c[B]`;
    exact: `c = LN1(resid_pre_corrupted + delta) @ W_c[B] + b_c[B]`, with LN1's own weights.
    `positions` are the token positions at which the patch is made, all of them if None.
    """
    delta = head_write(runs, runs.clean_cache, edge) - head_write(runs, runs.corrupted_cache, edge)
    if positions is not None:
        kept = torch.zeros_like(delta)
        kept[:, list(positions)] = 1.0
        delta = delta * kept
    attn = runs.model.blocks[edge.dl].attn
    weight, bias = getattr(attn, f"W_{component.upper()}"), getattr(attn, f"b_{component.upper()}")
    scale = runs.corrupted_cache[f"blocks.{edge.dl}.ln1.hook_scale"] if _has_norm(runs, edge.dl) else 1.0
    column = edge.dh * weight.shape[0] // runs.model.cfg.n_heads

    def patch(value: Tensor, hook: Any) -> Tensor:
        value = value.clone()
        shared = edge.dh * value.shape[2] // runs.model.cfg.n_heads
        if layer_norm == "frozen":
            value[:, :, shared] += delta / scale @ weight[column]
        else:
            resid = runs.corrupted_cache[f"blocks.{edge.dl}.hook_resid_pre"] + delta
            own_bias = 0.0 if bias is None else bias[column]
            value[:, :, shared] = _ln1(runs, edge.dl, resid) @ weight[column] + own_bias
        return value

    z = _read(runs, f"blocks.{edge.dl}.attn.hook_{component}", patch, f"blocks.{edge.dl}.attn.hook_z")

    def restore(value: Tensor, hook: Any) -> Tensor:
        value = value.clone()
        value[:, :, edge.dh] = z[:, :, edge.dh]
        return value

    with torch.no_grad():
        return runs.model.run_with_hooks(
            runs.corrupted_tokens, fwd_hooks=[(f"blocks.{edge.dl}.attn.hook_z", restore)]
        )


def head_write(runs: Runs, cache: Mapping[str, Tensor], edge: Edge) -> Float[Tensor, "batch pos d_model"]:
    """What the source head adds to the residual stream in the run that `cache` holds.

    Where the block normalises its attention output, the head's share of it under that run's
    own scale: `(z @ W_O[A]) / ln1_post_scale * ln1_post_weight`.
    """
    block = runs.model.blocks[edge.sl]
    write = cache[f"blocks.{edge.sl}.attn.hook_z"][:, :, edge.sh] @ block.attn.W_O[edge.sh]
    if not hasattr(block, "ln1_post"):
        return write
    norm = getattr(block.ln1_post, "original_component", block.ln1_post)
    offset = 1.0 if type(norm).__name__.startswith("Gemma") else 0.0
    return write / cache[f"blocks.{edge.sl}.ln1_post.hook_scale"] * (offset + norm.weight)


def _read(runs: Runs, patched: str, patch: Callable[..., Tensor], wanted: str) -> Tensor:
    kept: list[Tensor] = []
    with torch.no_grad():
        runs.model.run_with_hooks(
            runs.corrupted_tokens,
            fwd_hooks=[(patched, patch), (wanted, lambda value, hook: kept.append(value.clone()))],
        )
    return kept[0]


def _has_norm(runs: Runs, layer: int) -> bool:
    return f"blocks.{layer}.ln1.hook_scale" in runs.corrupted_cache


def _ln1(runs: Runs, layer: int, resid: Float[Tensor, "batch pos d_model"]) -> Tensor:
    """LN1 of `resid` by its formula: centred unless it is a root-mean-square norm."""
    if not _has_norm(runs, layer):
        return resid
    bridge = runs.model.blocks[layer].ln1
    norm = getattr(bridge, "original_component", bridge)
    if "RMS" not in type(norm).__name__:
        resid = resid - resid.mean(-1, keepdim=True)
    normalised = resid / (resid.square().mean(-1, keepdim=True) + _epsilon(norm)).sqrt()
    weight = getattr(norm, "weight", getattr(norm, "w", None))
    if weight is not None:
        normalised = normalised * (weight + 1.0 if type(norm).__name__.startswith("Gemma") else weight)
    bias = getattr(norm, "bias", getattr(norm, "b", None))
    return normalised if bias is None else normalised + bias


def _epsilon(norm: Any) -> float:
    return float(getattr(norm, "eps", getattr(norm, "variance_epsilon", 1e-5)))
