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
from analysis.errors import PathscopeError
from analysis.requests import Unit

Positions: TypeAlias = int | np.integer | tuple[int, ...] | list[int] | Tensor | np.ndarray | Slice | None
#: A run's activations by TransformerLens name: an `ActivationCache` or any mapping.
Activations: TypeAlias = Any


def needed(model: Any, unit: Unit) -> set[str]:
    """Names of the activations that a split by `unit` reads, those that its check reads included."""
    return _required(model, unit) | _optional(model, unit)


def _required(model: Any, unit: Unit) -> set[str]:
    blocks = _blocks(model)
    names = {f"{blocks[-1]}hook_resid_post"}
    if model.cfg.normalization_type is not None:
        names.add("ln_final.hook_scale")
    if unit == "component":
        writes = ("hook_attn_out",) if model.cfg.attn_only else ("hook_attn_out", "hook_mlp_out")
        names |= {"hook_embed"} | {block + write for block in blocks for write in writes}
    elif unit == "layer":
        stages = ("hook_resid_pre", "hook_resid_mid") if _has_mid(model) else ("hook_resid_pre",)
        names |= {block + stage for block in blocks for stage in stages}
    else:
        names |= {f"{block}attn.hook_z" for block in blocks}
        post_normed = zip(blocks, read_post_norms(model), strict=True)
        names |= {f"{block}ln1_post.hook_scale" for block, norm in post_normed if norm is not None}
    return names


def _optional(model: Any, unit: Unit) -> set[str]:
    """Present in some architectures only, or read by the check of a split alone."""
    if unit == "component":
        return {"hook_pos_embed"}
    return {f"{block}hook_attn_out" for block in _blocks(model)} if unit == "head" else set()


def _blocks(model: Any) -> list[str]:
    return [f"blocks.{layer}." for layer in range(model.cfg.n_layers)]


def as_slice(pos: Any) -> Slice:
    """`pos`, any of `Positions`, as TransformerLens understands it; `PathscopeError` for all else."""
    if isinstance(pos, Slice):
        return pos
    if isinstance(pos, Tensor | np.ndarray | np.integer) and pos.ndim == 0:
        pos = pos.item()
    try:
        if not _indices(pos):
            raise TypeError
        positions = Slice(pos)
        flat = positions.mode != "array" or positions.slice.ndim == 1
    except (TypeError, ValueError):
        flat = False
    if not flat:
        raise PathscopeError(
            f"pos is {pos!r}. Give an index, a tuple for a slice, a list, tensor or array, or None."
        )
    return positions


def _indices(pos: Any) -> bool:
    """Whether every entry of a list, tuple, tensor or array is an index; a slice's may be None."""
    if isinstance(pos, Tensor | np.ndarray):
        pos = pos.tolist()
    entries = [entry for entry in pos if entry is not None] if isinstance(pos, tuple) else pos
    return not isinstance(entries, list) or all(
        isinstance(entry, int | np.integer) and not isinstance(entry, bool) for entry in entries
    )


def narrowed(model: Any, cache: Activations, unit: Unit, positions: Slice) -> ActivationCache:
    """A cache with only what `unit` needs, at `positions` only; `cache` itself stays as it is.

    Everything has the model's own precision and device. The position axis is kept, also where
    `positions` is a single index. Raises `PathscopeError` where an activation is missing or of
    another model or run, or where `positions` lie outside the run or select nothing.
    """
    activations: dict[str, Tensor] = {}
    optional = _optional(model, unit)
    final = _activation(cache, f"{_blocks(model)[-1]}hook_resid_post", unit)
    if final.ndim not in (2, 3) or final.shape[-1] != model.W_U.shape[0]:
        raise PathscopeError(
            f"The cache's final residual stream has the shape {list(final.shape)}, and must be "
            f"[batch, pos, {model.W_U.shape[0]}]: give the cache of a run of this very model."
        )
    for name in sorted(needed(model, unit)):
        try:
            activation = _activation(cache, name, unit)
        except PathscopeError:
            if name in optional:
                continue
            raise
        axis = -3 if name.endswith("hook_z") else -2
        if not _fits(activation.shape[: axis + 1 or None], final.shape[:-1]):
            raise PathscopeError(
                f"In the cache {name} has the shape {list(activation.shape)}, and the final residual stream "
                f"{list(final.shape)}: they are not of the same run."
            )
        activations[name] = at_positions(activation, positions, axis).to(model.W_U)
    return ActivationCache(activations, model, has_batch_dim=final.ndim == 3)


def coarser_eps(cache: Activations, model: Any) -> float:
    """The machine epsilon of whatever is coarser, the model or the run that `cache` holds."""
    final = cache[f"{_blocks(model)[-1]}hook_resid_post"]
    return max(torch.finfo(values.dtype).eps for values in (final, model.W_U))


def _activation(cache: Activations, name: str, unit: Unit) -> Tensor:
    try:
        found = cache[name]
    except (KeyError, TypeError, IndexError) as error:
        raise PathscopeError(
            f"The cache lacks {name}, which unit {unit!r} needs. Cache the whole run, or add it to "
            "the run's names_filter."
        ) from error
    if not (isinstance(found, Tensor) and found.is_floating_point()):
        raise PathscopeError(
            f"In the cache {name} is {type(found).__name__}, and must be a tensor of numbers."
        )
    return found


def _fits(own: torch.Size, run: torch.Size) -> bool:
    """Whether an activation's axes before its width are those of the run; a batch axis may be 1."""
    return len(own) == len(run) and own[-1] == run[-1] and own[:-1] in (run[:-1], (1,) * len(run[:-1]))


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


def decompose(
    model: Any, cache: ActivationCache, unit: Unit
) -> tuple[Float[Tensor, "component *batch pos d_model"], list[str]]:
    """Writes by `unit` with their labels, from a `narrowed` cache and before the final norm.

    Components and heads (with their remainder) should sum to the final residual stream, and the last
    layer entry is it; `analysis.attribution.completeness` tells whether they do.
    """
    if unit == "layer":
        return cache.accumulated_resid(incl_mid=_has_mid(model), return_labels=True)
    if unit == "head":
        return _heads(model, cache)
    return cache.decompose_resid(return_labels=True)


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
        if norm is not None:
            scale = cache[f"blocks.{layer}.ln1_post.hook_scale"]
            own = slice(layer * n_heads, (layer + 1) * n_heads)
            stack[own] = norm.share(stack[own], scale)
    remainder = final_residual(cache) - stack.sum(dim=0)
    return torch.cat([stack, remainder[None]]), [*labels, "remainder"]


def _has_mid(model: Any) -> bool:
    """Whether blocks have a stage between attention and MLP; parallel and attention-only ones do not."""
    return "blocks.0.hook_resid_mid" in model.hook_dict
