"""What one path changes: the source head's write, and the destination head's output that sees it.

A source head A writes ``z @ W_O[A]`` to the residual stream. The patch is its clean minus its
corrupted write, ``delta``; only the destination head's own q, k or v input sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.sweep.layers import Norm
from analysis.sweep.replay import Suffix


@dataclass(frozen=True)
class SourceWrites:
    """Clean-minus-corrupted write of every source head, made on demand from the cached z."""

    W_O: tuple[Float[Tensor, "head d_head d_model"], ...]
    delta_z: tuple[Float[Tensor, "batch pos head d_head"], ...]
    #: Set in post-norm blocks, where each run's write passes a norm with its own scale.
    post_normed: tuple[Float[Tensor, "batch pos head d_model"] | None, ...]

    def delta(self, sources: Int[Tensor, "source 2"], suffix: Suffix) -> Float[Tensor, "batch source pos d_model"]:
        """The patches of `sources` (layer, head) at the positions of the suffix, in residual units."""
        first = self.delta_z[0]
        found = first.new_empty(
            first.shape[0], len(sources), suffix.length, self.W_O[0].shape[-1]
        )
        for layer in sources[:, 0].unique().tolist():
            (rows,) = torch.where(sources[:, 0] == layer)
            heads = sources[rows, 1]
            normed = self.post_normed[layer]
            if normed is not None:
                found[:, rows] = normed[:, suffix.positions, heads].transpose(1, 2)
            else:
                z = self.delta_z[layer][:, suffix.positions, heads].transpose(1, 2)
                found[:, rows] = z @ self.W_O[layer][heads]
        return found

    def silent(self, layer: int, head: int) -> bool:
        """Whether this head writes the same in both runs at every patched position."""
        return not bool(self.delta_z[layer][:, :, head].any())


def source_writes(
    W_O: tuple[Tensor, ...],
    post_norms: tuple[Norm | None, ...],
    clean_cache: Mapping[str, Tensor],
    corrupted_cache: Mapping[str, Tensor],
    positions: Sequence[int] | None,
) -> SourceWrites:
    """Collect the writes of all heads from the two runs' caches.

    Differences within rounding of the layer's largest z are set to zero: two runs of equal
    prefixes may differ in the last bit, and treating that as a change would widen the suffix
    for nothing. `positions` restricts the patch to some token positions.
    """
    deltas, normed = [], []
    for layer, weight in enumerate(W_O):
        name = f"blocks.{layer}.attn.hook_z"
        clean, corrupted = clean_cache[name], corrupted_cache[name]
        difference = clean - corrupted
        noise = 8 * torch.finfo(clean.dtype).eps * corrupted.abs().max()
        changed = difference.abs().amax(dim=(2, 3), keepdim=True) > noise
        if positions is not None:
            chosen = torch.zeros(clean.shape[1], dtype=torch.bool, device=clean.device)
            chosen[list(positions)] = True
            changed = changed & chosen[None, :, None, None]
        deltas.append(difference * changed)
        post_norm = post_norms[layer]
        if post_norm is None:
            normed.append(None)
            continue
        scale_name = f"blocks.{layer}.ln1_post.hook_scale"
        write = [
            (cache[name] / cache[scale_name][..., None]).transpose(1, 2) @ weight
            for cache in (clean_cache, corrupted_cache)
        ]
        gain = 1.0 if post_norm.weight is None else post_norm.weight
        normed.append(((write[0] - write[1]).transpose(1, 2) * gain) * changed)
    return SourceWrites(W_O, tuple(deltas), tuple(normed))


def first_changed_position(writes: SourceWrites) -> int:
    """The first position at which any source head's write differs; the length if none does."""
    changed = torch.stack([delta.ne(0).any(-1).any(-1).any(0) for delta in writes.delta_z]).any(0)
    (where,) = torch.where(changed)
    return int(where[0]) if len(where) else changed.shape[0]
