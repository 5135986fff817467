"""The corrupted run as the engine computes it, and the suffix of it that patched rows replay.

Attention is causal, so a patch at position `start` or later leaves everything before it as it
was. Patched rows therefore carry only positions `start:`, and read the keys and values of the
prefix from the corrupted run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.decoder import Attention, Block, Decoder

StopCheck = Callable[[], None]


@dataclass(frozen=True)
class LayerRun:
    """What one layer did in the corrupted run; q, k and v both as projected and as attended with."""

    resid_pre: Float[Tensor, "batch pos d_model"]
    q_projected: Float[Tensor, "batch pos head d_head"]
    q: Float[Tensor, "batch pos head d_head"]
    k_projected: Float[Tensor, "batch pos key_head d_head"]
    k: Float[Tensor, "batch pos key_head d_head"]
    v_projected: Float[Tensor, "batch pos key_head d_head"]
    v: Float[Tensor, "batch pos key_head d_head"]
    z: Float[Tensor, "batch pos head d_head"]
    attention_output: Float[Tensor, "batch pos d_model"]
    mlp_write: Float[Tensor, "batch pos d_model"] | None


@dataclass(frozen=True)
class CorruptedRun:
    """The whole corrupted run: each layer's `LayerRun`, and the residual stream after the last."""

    layers: tuple[LayerRun, ...]
    resid_final: Float[Tensor, "batch pos d_model"]

    def of_prompts(self, rows: slice) -> CorruptedRun:
        """The run of some prompts of the batch."""

        def kept(layer: LayerRun) -> LayerRun:
            parts = {field.name: getattr(layer, field.name) for field in fields(layer)}
            here: dict[str, Any] = {
                name: None if part is None else part[rows] for name, part in parts.items()
            }
            return LayerRun(**here)

        return CorruptedRun(tuple(map(kept, self.layers)), self.resid_final[rows])


def replay_corrupted_run(decoder: Decoder, embedded: Float[Tensor, "batch pos d_model"]) -> CorruptedRun:
    """Run `decoder` from the residual stream that enters its first block."""
    resid, layers = embedded, []
    everywhere = slice(0, embedded.shape[1])
    for block in decoder.blocks:
        attention = block.attention
        normalized = block.attention_norm(resid)
        projected = [attention.project(normalized, component) for component in "qkv"]
        q, k, v = (
            attention.attended(x, component, everywhere)
            for x, component in zip(projected, "qkv", strict=True)
        )
        z = _attend(attention, q, k, v, everywhere)
        output = attention.output(z)
        resid_mid = resid + block.attention_write(output)
        write = block.mlp_write(resid, resid_mid)
        q_projected, k_projected, v_projected = projected
        layers.append(LayerRun(resid, q_projected, q, k_projected, k, v_projected, v, z, output, write))
        resid = resid_mid if write is None else resid_mid + write
    return CorruptedRun(tuple(layers), resid)


def _attend(attention: Attention, q: Tensor, k: Tensor, v: Tensor, queries: slice) -> Tensor:
    """z [batch query head d_head] of a plain forward pass, no patched rows."""
    keys = k.repeat_interleave(attention.queries_per_key, dim=2)
    values = v.repeat_interleave(attention.queries_per_key, dim=2)
    scores = torch.einsum("bqhd,bkhd->bhqk", q, keys)
    pattern = attention.pattern(scores, attention.visible(queries, k.shape[1]))
    return torch.einsum("bhqk,bkhd->bqhd", pattern, values)


@dataclass(frozen=True)
class Suffix:
    """Which positions patched rows carry, and which of them the metric reads after the last block."""

    start: int
    n_positions: int
    read: int | None

    @property
    def positions(self) -> slice:
        """The positions that rows carry."""
        return slice(self.start, self.n_positions)

    @property
    def length(self) -> int:
        """How many positions rows carry."""
        return self.n_positions - self.start

    def queries(self, block_is_last: bool) -> slice:
        """Positions whose residual stream is still needed after this block's attention."""
        if block_is_last and self.read is not None:
            return slice(self.read, self.read + 1)
        return self.positions


@dataclass(frozen=True)
class Replay:
    """Replays patched rows through the blocks above their destination layer.

    Rows have shape [batch edge pos d_model]: every edge once for each prompt of the batch.
    """

    decoder: Decoder
    run: CorruptedRun
    suffix: Suffix

    def is_last(self, layer: int) -> bool:
        """Whether no block follows `layer`."""
        return layer == len(self.decoder.blocks) - 1

    def block(
        self, resid: Float[Tensor, "batch edge pos d_model"], layer: int
    ) -> Float[Tensor, "batch edge read d_model"]:
        """The residual stream after `layer`, from the one before it; after the last, where it is read."""
        kept, z = self.attend(resid, layer)
        return self.after_attention(kept, z, layer)

    def attend(
        self, resid: Float[Tensor, "batch edge pos d_model"], layer: int
    ) -> tuple[Float[Tensor, "batch edge read d_model"], Float[Tensor, "batch edge read head d_head"]]:
        """`resid` where it is still needed after this block's attention, and z there."""
        block, suffix = self.decoder.blocks[layer], self.suffix
        queries = suffix.queries(self.is_last(layer))
        normalized = block.attention_norm(resid)
        kept = slice(queries.start - suffix.start, queries.stop - suffix.start)
        if kept.stop - kept.start < resid.shape[2]:
            resid = resid[:, :, kept]
        return resid, self._attend_rows(block.attention, normalized, layer, queries, kept)

    def after_attention(
        self,
        resid: Float[Tensor, "batch edge read d_model"],
        z: Float[Tensor, "batch edge read head d_head"],
        layer: int,
    ) -> Float[Tensor, "batch edge read d_model"]:
        """The residual stream after `layer`, from what `attend` gives."""
        block = self.decoder.blocks[layer]
        resid_mid = block.attention_write(block.attention.output(z)).add_(resid)
        return after_mlp(block, resid, resid_mid)

    def _attend_rows(
        self, attention: Attention, normalized: Tensor, layer: int, queries: slice, kept: slice
    ) -> Tensor:
        """z of patched rows: keys of the prefix from the corrupted run, of the suffix from the row."""
        corrupted, start = self.run.layers[layer], self.suffix.start
        q = attention.attended(attention.project(normalized[:, :, kept], "q"), "q", queries)
        k = attention.attended(attention.project(normalized, "k"), "k", self.suffix.positions)
        v = attention.attended(attention.project(normalized, "v"), "v", self.suffix.positions)
        # [batch edge pos head d_head] -> [batch key_head edge pos queries_per_key d_head]
        q = q.unflatten(3, (k.shape[3], -1)).permute(0, 3, 1, 2, 4, 5)
        prefix_k = corrupted.k[:, :start].permute(0, 2, 3, 1)
        prefix_v = corrupted.v[:, :start].permute(0, 2, 1, 3)
        k, v = (x.permute(0, 3, 1, 2, 4).contiguous() for x in (k, v))
        parts = []
        for rows, n_keys, visible in attention.blocks(queries, self.suffix.n_positions):
            of_rows, later = q[:, :, :, rows].flatten(3, 4), slice(0, n_keys - start)
            on_prefix = (of_rows.flatten(2, 3) @ prefix_k).unflatten(2, of_rows.shape[2:4])
            scores = torch.cat([on_prefix, of_rows @ k[..., later, :].mT], dim=-1)
            pattern = attention.pattern(scores, visible.repeat_interleave(attention.queries_per_key, 0))
            z = pattern[..., start:] @ v[..., later, :]
            z += (pattern[..., :start].flatten(2, 3) @ prefix_v).unflatten(2, z.shape[2:4])
            parts.append(z)
        z = torch.cat(parts, dim=3).unflatten(3, (-1, attention.queries_per_key))
        return z.permute(0, 2, 3, 1, 4, 5).flatten(3, 4)


def after_mlp(block: Block, resid_pre: Tensor, resid_mid: Tensor) -> Tensor:
    """The residual stream after a block's MLP; reuses the memory of `resid_mid` if no gradient is asked."""
    write = block.mlp_write(resid_pre, resid_mid)
    if write is None:
        return resid_mid
    return resid_mid + write if torch.is_grad_enabled() else resid_mid.add_(write)
