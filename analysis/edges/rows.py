"""Rows that run through the model with a set of edges patched in each, many sets at once.

Every reader sees its residual stream plus what its own patched edges carry. What they carry is for the two
kinds of rows to say: `analysis.edges.joint` replaces writes, `analysis.edges.added` adds differences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from analysis.decoder import Attention, Block, Norm
from analysis.edges.exchange import Exchange
from analysis.nodes import INPUTS, Graph
from analysis.requests import HEAD_INPUTS, HeadInput
from analysis.sweep import CorruptedRun, EdgeReplay, StopCheck, Values

EdgeSet = Bool[np.ndarray, "writer reader"]
Sets = Bool[np.ndarray, "set writer reader"]

#: What all heads see at some positions takes about so much: more would come from memory at every step.
CACHE_BYTES = 8 * 2**20

#: Sets that go through the model together: more make the products no faster.
MOST_AT_ONCE = 16


@dataclass(frozen=True)
class SetReplay(ABC):
    """The run of an exchange with sets of edges patched."""

    replay: EdgeReplay
    other: CorruptedRun
    graph: Graph
    frozen: bool
    memory_bytes: int

    @classmethod
    def of(cls, exchange: Exchange) -> Self:
        """The engine for the sets of `exchange`; raises `UnsupportedModelError` where there is none."""
        replay, other = exchange.required_replay("joint patch of edges"), exchange.other.run
        assert other is not None
        frozen = exchange.layer_norm == "frozen"
        return cls(replay, other, exchange.graph, frozen, exchange.memory_bytes)

    @abstractmethod
    def rows(self, sets: Sets) -> SetRows:
        """One row for each of `sets`, before the first block."""

    @abstractmethod
    def rows_kept(self, sets: Sets) -> int:
        """How many residual streams each of `sets` keeps beside those of a layer at work."""

    def in_batches(self, sets: Sets) -> Iterator[slice]:
        """So many of `sets` at a time as fit in memory; at least one."""
        resid = self.replay.run.resid_final
        streams = self.rows_kept(sets) + 6 * (self.graph.n_heads + 2)
        per_set = resid.element_size() * len(resid) * self.replay.suffix.length * streams * resid.shape[-1]
        at_once = min(MOST_AT_ONCE, max(1, self.memory_bytes // max(1, per_set)))
        return (slice(first, first + at_once) for first in range(0, len(sets), at_once))

    def measure(self, sets: Sets, check_stop: StopCheck) -> Values:
        """The metric under every set, mean and per prompt pair. `check_stop` may raise to stop."""
        rows = self.rows(sets)
        for layer in range(self.graph.n_layers):
            check_stop()
            rows.through(layer)
        return self.replay.readout.measure(rows.normed(), self.replay.suffix, check_stop)


class SetRows(ABC):
    """One row for each set: its residual stream, layer by layer."""

    def __init__(self, of: SetReplay, sets: Sets) -> None:
        self._replay, self._graph, self._suffix = of.replay, of.graph, of.replay.suffix
        first = of.replay.run.layers[0].resid_pre[:, None, self._suffix.positions]
        self._resid = first.expand(-1, len(sets), -1, -1)
        self._heard: Bool[np.ndarray, " reader"] = np.asarray(sets.any((0, 1)))

    @abstractmethod
    def _patched(
        self, readers: Int[np.ndarray, " reader"], at: slice
    ) -> Float[Tensor, "batch set reader pos d_model"]:
        """What `readers` see with their patched edges, at some of the positions where rows stand now."""

    @abstractmethod
    def _heads_write(
        self, layer: int, z: Float[Tensor, "batch set query head d_head"]
    ) -> Float[Tensor, "batch set query d_model"]:
        """What the attention layer adds to the residual stream."""

    @abstractmethod
    def _mlp_wrote(self, layer: int, write: Float[Tensor, "batch set query d_model"]) -> None:
        """Told of what the MLP adds to the residual stream."""

    def _normed(
        self,
        norm: Norm,
        seen: Float[Tensor, "batch set reader pos d_model"],
        resid: Float[Tensor, "batch set 1 pos d_model"],
        *,
        by_heads: bool = False,
    ) -> Float[Tensor, "batch set reader pos d_model"]:
        """What the norm before readers makes of what they see, where the stream is `resid`."""
        return norm(seen)

    def _queries(self, layer: int) -> slice:
        """The positions that are still needed after this layer's attention."""
        return self._suffix.queries(self._replay.replay.is_last(layer))

    def _keep(self, kept: slice) -> None:
        """Only these of the positions are needed from here on."""
        self._resid = self._resid[:, :, kept]

    def _columns(self, layer: int, *inputs: str) -> Int[np.ndarray, " reader"]:
        layer_of, reads, _ = self._graph.reader_places.T
        chosen = (layer_of == layer) & np.isin(reads, [INPUTS.index(name) for name in inputs])
        return np.nonzero(chosen)[0]

    def _seen(
        self, layer: int, *inputs: str, at: slice = slice(None)
    ) -> Float[Tensor, "batch set reader pos d_model"]:
        """What the readers of one layer by these `inputs` see, each its own patched writers.

        One reader for all where no set patches any of them.
        """
        columns = self._columns(layer, *inputs)
        return self._patched(columns, at) if self._heard[columns].any() else self._resid[:, :, None, at]

    def through(self, layer: int) -> None:
        """Run one block."""
        block = self._replay.decoder.blocks[layer]
        queries = self._queries(layer)
        kept = slice(queries.start - self._suffix.start, queries.stop - self._suffix.start)
        early = self._into_mlp(block, layer)[:, :, kept] if block.parallel and block.mlp is not None else None
        z = self._attend(layer, queries, kept)
        self._keep(kept)
        self._resid = self._resid + self._heads_write(layer, z)
        if block.mlp is None:
            return
        write = block.mlp_output(self._into_mlp(block, layer) if early is None else early)
        self._mlp_wrote(layer, write)
        self._resid = self._resid + write

    def _into_mlp(self, block: Block, layer: int) -> Float[Tensor, "batch set pos d_model"]:
        norm = block.mlp_norm or block.attention_norm
        return self._normed(norm, self._seen(layer, "mlp"), self._resid[:, :, None])[:, :, 0]

    def _attend(
        self, layer: int, queries: slice, kept: slice
    ) -> Float[Tensor, "batch set query head d_head"]:
        """z of every head, from what its own q, k and v see."""
        if not self._heard[self._columns(layer, *HEAD_INPUTS)].any():
            return self._replay.replay.attend(self._resid, layer)[1]
        block, run = self._replay.decoder.blocks[layer], self._replay.run.layers[layer]
        attention, start = block.attention, self._suffix.start
        q = self._projected(layer, "q", queries, kept)
        k, v = (self._projected(layer, name, self._suffix.positions, slice(None)) for name in HEAD_INPUTS[1:])
        prefix_k, prefix_v = (
            x[:, :start].repeat_interleave(attention.queries_per_key, 2).transpose(1, 2)[:, None]
            for x in (run.k, run.v)
        )
        parts = []
        for rows, n_keys, visible in attention.blocks(queries, self._suffix.n_positions):
            later = slice(0, n_keys - start)
            scores = torch.cat([q[..., rows, :] @ prefix_k.mT, q[..., rows, :] @ k[..., later, :].mT], dim=-1)
            pattern = attention.pattern(scores, visible)
            parts.append(pattern[..., :start] @ prefix_v + pattern[..., start:] @ v[..., later, :])
        return torch.cat(parts, dim=-2).transpose(2, 3)

    def _projected(
        self, layer: int, component: HeadInput, positions: slice, kept: slice
    ) -> Float[Tensor, "batch set head pos d_head"]:
        """q, k or v as attended with, of each query head from what it sees itself."""
        block, n_heads = self._replay.decoder.blocks[layer], self._graph.n_heads
        parts = []
        for at in self._in_cache(kept):
            seen, resid = self._seen(layer, component, at=at), self._resid[:, :, None, at]
            normed = self._normed(block.attention_norm, seen, resid, by_heads=True)
            parts.append(_projected(block.attention, component, normed))
        x = block.attention.attended(torch.cat(parts, dim=2), component, positions)
        return x.repeat_interleave(n_heads // x.shape[3], 3).transpose(2, 3).contiguous()

    def _in_cache(self, kept: slice) -> Iterator[slice]:
        """The positions of `kept`, so many at a time that what all heads see there stays in the cache."""
        first, last, _ = kept.indices(self._resid.shape[2])
        per_position = self._resid[:, :, 0].nbytes * self._graph.n_heads
        step = max(1, CACHE_BYTES // per_position)
        return (slice(start, min(start + step, last)) for start in range(first, last, step))

    def normed(self) -> Float[Tensor, "batch set read d_model"]:
        """What the logits see, normed."""
        norm, seen = self._replay.decoder.final_norm, self._seen(self._graph.n_layers, "logits")
        return (seen if norm is None else self._normed(norm, seen, self._resid[:, :, None]))[:, :, 0]


def per_head(
    x: Float[Tensor, "batch set head pos d_in"], weight: Float[Tensor, "head d_in d_out"]
) -> Float[Tensor, "batch set head pos d_out"]:
    """One product a head; a broadcast one would copy the weights for every set."""
    by_head = x.permute(2, 0, 1, 3, 4)
    product = by_head.flatten(1, 3) @ weight
    return product.unflatten(1, by_head.shape[1:4]).permute(1, 2, 0, 3, 4)


def _projected(
    attention: Attention, component: HeadInput, normed: Float[Tensor, "batch set reader pos d_model"]
) -> Float[Tensor, "batch set pos head d_head"]:
    """q, k or v of each query head from its own input, or of every head of the projection from the one."""
    weight, bias = attention.weights(component)
    if normed.shape[2] == 1 < len(attention.W_Q):
        return attention.project(normed[:, :, 0], component)
    copies = normed.shape[2] // len(weight)
    # [batch set head pos d_model] as [key_head (batch set copies pos) d_model]: one product a key head.
    by_head = normed.unflatten(2, (len(weight), copies)).permute(2, 0, 1, 3, 4, 5)
    x = (by_head.flatten(1, 4) @ weight).unflatten(1, by_head.shape[1:5])
    x = x.permute(1, 2, 4, 0, 3, 5).flatten(3, 4)
    return x if bias is None else x + bias.repeat_interleave(copies, 0)
