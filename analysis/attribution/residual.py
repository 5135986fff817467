"""The residual stream of a run, split into what each part of the model wrote to it.

Built on TransformerLens's `ActivationCache`, narrowed to the activations and positions that are
asked for: a head-by-head split of one position then costs memory for one position only.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import ActivationCache
from transformer_lens.utilities import Slice

from analysis.decoder import read_post_norms
from analysis.errors import PathscopeError, UnsupportedModelError
from analysis.requests import Unit

Positions: TypeAlias = int | np.integer | tuple[int, ...] | list[int] | Tensor | np.ndarray | Slice | None

#: Present in some architectures only; `decompose` notices where a needed one is missing.
_OPTIONAL = frozenset({"hook_pos_embed"})


def needed(model: Any, unit: Unit) -> set[str]:
    """Names of the activations from which `decompose` splits the stream by `unit`."""
    blocks = [f"blocks.{layer}." for layer in range(model.cfg.n_layers)]
    names = {f"{blocks[-1]}hook_resid_post"}
    if model.cfg.normalization_type is not None:
        names.add("ln_final.hook_scale")
    if unit == "component":
        writes = ("hook_attn_out",) if model.cfg.attn_only else ("hook_attn_out", "hook_mlp_out")
        names |= {"hook_embed", "hook_pos_embed"} | {block + write for block in blocks for write in writes}
    elif unit == "layer":
        stages = ("hook_resid_pre", "hook_resid_mid") if _has_mid(model) else ("hook_resid_pre",)
        names |= {block + stage for block in blocks for stage in stages}
    else:
        names |= {f"{block}attn.hook_z" for block in blocks}
        post_normed = zip(blocks, read_post_norms(model), strict=True)
        names |= {f"{block}ln1_post.hook_scale" for block, norm in post_normed if norm is not None}
    return names


def as_slice(pos: Any) -> Slice:
    """`pos`, any of `Positions`, as TransformerLens understands it; `PathscopeError` for all else."""
    if isinstance(pos, Slice):
        return pos
    if isinstance(pos, Tensor | np.ndarray | np.integer) and pos.ndim == 0:
        pos = pos.item()
    try:
        positions = Slice(pos)
        flat = positions.mode != "array" or positions.slice.ndim == 1
    except (TypeError, ValueError):
        flat = False
    if not flat:
        raise PathscopeError(
            f"pos is {pos!r}. Give an index, a tuple for a slice, a list, tensor or array, or None."
        )
    return positions


def narrowed(model: Any, cache: ActivationCache, unit: Unit, positions: Slice) -> ActivationCache:
    """A cache with only what `unit` needs, at `positions` only; `cache` itself stays as it is.

    The position axis is kept, also where `positions` is a single index. Raises `PathscopeError`
    where an activation is missing, or where `positions` lie outside the run or select nothing.
    """
    activations = {}
    for name in sorted(needed(model, unit)):
        try:
            activation = cache[name]
        except KeyError as error:
            if name in _OPTIONAL:
                continue
            raise PathscopeError(
                f"The cache lacks {name}, which unit {unit!r} needs. Cache the whole run, or add it to "
                "the run's names_filter."
            ) from error
        axis = -3 if name.endswith("hook_z") else -2
        activations[name] = at_positions(activation, positions, axis)
    return ActivationCache(activations, model, has_batch_dim=cache.has_batch_dim)


def at_positions(activation: Tensor, positions: Slice, axis: int) -> Tensor:
    """`activation` at `positions` along `axis`, which is kept also for a single index."""
    length = activation.shape[axis]
    kept = Slice([positions.slice]) if positions.mode == "int" else positions
    try:
        chosen = kept.apply(activation, dim=axis)
    except (IndexError, TypeError) as error:
        raise PathscopeError(f"pos is {positions.slice}, and the run has {length} positions.") from error
    if chosen.shape[axis] == 0:
        raise PathscopeError(f"pos is {positions.slice}, which selects none of the {length} positions.")
    return chosen


def tolerance(values: Tensor) -> float:
    """The share of `values` that rounding explains in their precision, and a forgotten part does not."""
    return max(1e-3, torch.finfo(values.dtype).eps ** 0.5)


def decompose(
    model: Any, cache: ActivationCache, unit: Unit
) -> tuple[Float[Tensor, "component *batch pos d_model"], list[str]]:
    """Writes by `unit` with their labels, from a `narrowed` cache and before the final norm.

    Components and heads (with their remainder) sum to the final residual stream, the last layer
    entry is it; raises `UnsupportedModelError` where the components do not.
    """
    if unit == "layer":
        return cache.accumulated_resid(incl_mid=_has_mid(model), return_labels=True)
    if unit == "head":
        return _heads(model, cache)
    stack, labels = cache.decompose_resid(return_labels=True)
    final = final_residual(cache)
    missing = torch.linalg.vector_norm(stack.sum(dim=0) - final) / torch.linalg.vector_norm(final)
    if not missing <= tolerance(final):
        raise UnsupportedModelError(
            f"Embeddings, attention and MLP outputs of {type(model).__name__} "
            f"{getattr(model.cfg, 'model_name', '')!r} miss {missing:.1%} of the final residual stream, so "
            "their attributions would not add up to the logit. Use unit 'layer' or 'head'."
        )
    return stack, labels


def final_residual(cache: ActivationCache) -> Float[Tensor, "*batch pos d_model"]:
    """The residual stream after the last block."""
    return cache["resid_post", -1]


def _heads(model: Any, cache: ActivationCache) -> tuple[Tensor, list[str]]:
    """Each head's write to the residual stream and the remainder, biases included, of all else."""
    post_norms = read_post_norms(model)
    if not any(post_norms):
        return cache.stack_head_results(incl_remainder=True, return_labels=True)
    stack, labels = cache.stack_head_results(return_labels=True)
    n_heads = model.cfg.n_heads
    for layer, norm in enumerate(post_norms):
        if norm is None:
            continue
        writes = stack[layer * n_heads : (layer + 1) * n_heads]
        if norm.centred:
            writes -= writes.mean(dim=-1, keepdim=True)
        writes /= cache[f"blocks.{layer}.ln1_post.hook_scale"]
        if norm.weight is not None:
            writes *= norm.weight
    remainder = final_residual(cache) - stack.sum(dim=0)
    return torch.cat([stack, remainder[None]]), [*labels, "remainder"]


def _has_mid(model: Any) -> bool:
    """Whether blocks have a stage between attention and MLP; parallel and attention-only ones do not."""
    return "blocks.0.hook_resid_mid" in model.hook_dict
