"""Whether the parts of a run add up to what its logits are read from, judged in the logits asked for.

A hook, a scaled stream or an unread part writes something that belongs to no listed part. How
large that is in the residual stream says nothing: a dimension of size 1000 hides what moves the
answer. So what the parts miss is read out like the parts themselves, and must be rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import ActivationCache

from analysis.attribution.residual import final_residual
from analysis.decoder import read_post_norms
from analysis.errors import UnsupportedModelError
from analysis.metrics import ULPS
from analysis.requests import Unit

Stream = Float[Tensor, "*batch pos d_model"]


def require_complete(
    model: Any,
    cache: ActivationCache,
    unit: Unit,
    stack: Float[Tensor, "component *batch pos d_model"],
    targets: list[Tensor],
    eps: float,
) -> None:
    """Raise `UnsupportedModelError` where the split of a `narrowed` cache misses some of the logits.

    Components must sum to the final stream, each layer's heads and output bias to its attention
    output; a layer's entry is the stream itself. Allowed is what rounding of the stream and of its
    largest writes makes of the logit: ``8 eps sqrt(components) |largest * W_U| / scale``.
    """
    direction = model.W_U[:, targets[0]]
    if len(targets) > 1:
        direction = direction - model.W_U[:, targets[1]]
    largest = torch.maximum(stack.abs().amax(dim=0), final_residual(cache).abs())
    noise = torch.linalg.vector_norm(largest * direction.movedim(0, -1), dim=-1)
    if "ln_final.hook_scale" in cache:
        noise = noise / cache["ln_final.hook_scale"][..., 0]
    allowed = ULPS * eps * len(stack) ** 0.5 * noise
    for where, missing in _missing(model, cache, unit, stack):
        off = cache.logit_attrs(missing[None], *targets, has_batch_dim=cache.has_batch_dim)[0].abs()
        if not bool((off <= allowed).all()):
            others = " or ".join(repr(other) for other in ("component", "layer", "head") if other != unit)
            raise UnsupportedModelError(
                f"{where} by up to {float(off.max()):.3g} logits, where rounding explains "
                f"{float(allowed.max()):.1g}, so attributions would not add up. Remove what else writes to "
                f"this model's residual stream, such as a hook, or use unit {others}."
            )


def has_attention_outputs(run: ActivationCache) -> bool:
    """Whether a run holds what its heads can be compared with."""
    return any(name.endswith("hook_attn_out") for name in run)


def _missing(model: Any, cache: ActivationCache, unit: Unit, stack: Tensor) -> Iterator[tuple[str, Stream]]:
    """(what misses what, the part of the residual stream that it misses)."""
    if unit == "component":
        name = f"{type(model).__name__} {getattr(model.cfg, 'model_name', '')!r}"
        whole = final_residual(cache) - stack.sum(dim=0)
        yield f"Embeddings, attention and MLP outputs of {name} miss the final residual stream", whole
    if unit != "head":
        return
    n_heads = model.cfg.n_heads
    for layer, norm in enumerate(read_post_norms(model)):
        if (name := f"blocks.{layer}.hook_attn_out") not in cache:
            continue
        heads = stack[layer * n_heads : (layer + 1) * n_heads].sum(dim=0)
        bias = getattr(model.blocks[layer].attn, "b_O", None)
        if bias is not None:
            bias = bias.expand_as(heads)
            scale = f"blocks.{layer}.ln1_post.hook_scale"
            heads = heads + (bias if norm is None else norm.share(bias, cache[scale]))
        if norm is not None and norm.bias is not None:
            heads = heads + norm.bias
        yield f"The heads of layer {layer} miss its attention output", cache[name] - heads
