"""What a source head brings: the difference of its writes between the two runs.

A source head A writes ``z @ W_O[A]`` to the residual stream, through the post-norm where there is one.
The patch is its clean minus its corrupted write, ``delta``; what the destination head makes of it
stands in `analysis.sweep.destination`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from analysis.decoder import Decoder, Norm
from analysis.sweep.patch import Patch
from analysis.sweep.replay import Suffix

_READ = ("attn.hook_z", "ln1.hook_scale", "ln1_post.hook_scale")


@dataclass(frozen=True)
class SourceWrites:
    """Clean-minus-corrupted write of every source head, made on demand from the cached z."""

    W_O: tuple[Float[Tensor, "head d_head d_model"], ...]
    delta_z: tuple[Float[Tensor, "batch pos head d_head"], ...]
    #: Set in post-norm blocks, where each run's write passes a norm with its own scale.
    post_normed: tuple[Float[Tensor, "batch pos head d_model"] | None, ...]

    def delta(
        self, sources: Int[Tensor, "source 2"], suffix: Suffix
    ) -> Float[Tensor, "batch source pos d_model"]:
        """The patches of `sources` (layer, head) at the positions of the suffix, in residual units."""
        first = self.delta_z[0]
        found = first.new_empty(first.shape[0], len(sources), suffix.length, self.W_O[0].shape[-1])
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

    def factors(
        self, sources: Int[Tensor, "source 2"], suffix: Suffix
    ) -> tuple[Float[Tensor, "batch source pos d_head"], Float[Tensor, "source d_head d_model"]] | None:
        """``(z, W_O)`` of `sources` (layer, head), whose product is `delta`; None where a norm follows."""
        if any(normed is not None for normed in self.post_normed):
            return None
        z = [self.delta_z[layer][:, suffix.positions, head] for layer, head in sources.tolist()]
        return torch.stack(z, dim=1), torch.stack([self.W_O[layer][head] for layer, head in sources.tolist()])

    def at(self, position: int) -> SourceWrites:
        """What is brought at one position alone."""
        normed = tuple(None if write is None else only_at(write, position) for write in self.post_normed)
        return SourceWrites(self.W_O, tuple(only_at(z, position) for z in self.delta_z), normed)

    def silent(self, layer: int, head: int) -> bool:
        """Whether this head writes the same in both runs at every patched position."""
        normed = self.post_normed[layer]
        return not bool((self.delta_z[layer] if normed is None else normed)[:, :, head].any())


def only_at(x: Float[Tensor, "batch pos *rest"], position: int) -> Float[Tensor, "batch pos *rest"]:
    """`x` at `position`, and zero at every other."""
    found = torch.zeros_like(x)
    found[:, position] = x[:, position]
    return found


def activations_read(model: Any) -> set[str]:
    """Names of the activations that a sweep reads from the caches of both runs."""
    blocks = [f"blocks.{layer}." for layer in range(model.cfg.n_layers)]
    return {f"{block}{name}" for block in blocks for name in _READ}


def source_writes(
    clean: Mapping[str, Tensor],
    corrupted: Mapping[str, Tensor],
    W_O: tuple[Tensor, ...],
    post_norms: tuple[Norm | None, ...],
    positions: Sequence[int] | None = None,
) -> SourceWrites:
    """Collect the writes of all heads from the two runs' caches, at `positions` (everywhere if None).

    A head's z that differs at a position by no more than rounding of that very z counts as the same:
    two runs of equal prefixes may differ in the last bit, and treating that as a change would widen
    the suffix for nothing. Raises `PathscopeError` where a cache does not fit.
    """
    deltas: list[Tensor] = []
    normed: list[Tensor | None] = []
    for layer, (weight, post_norm) in enumerate(zip(W_O, post_norms, strict=True)):
        name = f"blocks.{layer}.attn.hook_z"
        z_clean, z_corrupted = clean[name], corrupted[name]
        changed = differs(z_clean, z_corrupted)
        changed = changed & _chosen(positions, z_clean.shape[1]).to(changed.device)[None, :, None, None]
        deltas.append((z_clean - z_corrupted) * changed)
        normed.append(None)
        if post_norm is not None:
            scale = f"blocks.{layer}.ln1_post.hook_scale"
            writes = [
                post_norm.share((z.transpose(1, 2) @ weight).transpose(1, 2), run_scale[..., None])
                for z, run_scale in ((z_clean, clean[scale]), (z_corrupted, corrupted[scale]))
            ]
            # One scale for all heads: where any of them changed, each writes otherwise.
            normed[-1] = (writes[0] - writes[1]) * changed.any(2, keepdim=True)
    return SourceWrites(W_O, tuple(deltas), tuple(normed))


def differs(one: Float[Tensor, "*rows width"], other: Tensor) -> Bool[Tensor, "*rows 1"]:
    """Where `one` differs from `other` by more than rounding of its largest entry there."""
    own_rounding = 8 * torch.finfo(one.dtype).eps * other.abs().amax(-1, keepdim=True)
    return (one - other).abs().amax(-1, keepdim=True) > own_rounding


def decoder_writes(patch: Patch, decoder: Decoder) -> SourceWrites:
    """`source_writes` of a model that the replay knows."""
    return source_writes(
        patch.clean_cache,
        patch.corrupted_cache,
        tuple(block.attention.W_O for block in decoder.blocks),
        tuple(block.attention_post_norm for block in decoder.blocks),
        patch.positions,
    )


def _chosen(positions: Sequence[int] | None, n_positions: int) -> Bool[Tensor, " pos"]:
    chosen = torch.full((n_positions,), positions is None)
    if positions is not None:
        chosen[list(positions)] = True
    return chosen


def first_changed_position(writes: SourceWrites) -> int:
    """The first position at which any source head's write differs; the length if none does."""
    changed = torch.stack([delta.ne(0).any(-1).any(-1).any(0) for delta in writes.delta_z]).any(0)
    (where,) = torch.where(changed)
    return int(where[0]) if len(where) else changed.shape[0]
