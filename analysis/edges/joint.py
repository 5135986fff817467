"""Sets of edges patched together, with replace semantics, many sets at once.

Every reader sees ``its residual stream + sum over its patched writers of (other run's write - that writer's
current write)``. The current write is that of the patched run itself, so a writer that an earlier edge has
moved already is not counted twice. All edges together give the other run, no edge gives the run itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from analysis.decoder import Attention, Block
from analysis.edges.exchange import Exchange
from analysis.nodes import INPUTS, Graph
from analysis.requests import HEAD_INPUTS
from analysis.sweep import CorruptedRun, EdgeReplay, StopCheck, Values

EdgeSet = Bool[np.ndarray, "writer reader"]
Sets = Bool[np.ndarray, "set writer reader"]


@dataclass(frozen=True)
class JointReplay:
    """The run of an exchange with sets of edges patched."""

    replay: EdgeReplay
    other: CorruptedRun
    graph: Graph

    @classmethod
    def of(cls, exchange: Exchange) -> JointReplay:
        """The engine for the sets of `exchange`; raises `UnsupportedModelError` where there is none."""
        replay, other = exchange.required_replay("joint patch of edges"), exchange.other.run
        assert other is not None
        return cls(replay, other, exchange.graph)

    def in_batches(self, sets: Sets, memory_bytes: int) -> Iterator[slice]:
        """So many of `sets` at a time as fit in memory; at least one."""
        resid, n_writers = self.replay.run.resid_final, int(sets.any((0, 2)).sum())
        rows = 2 * n_writers + 6 * (3 * self.graph.n_heads + 2)
        per_set = resid.element_size() * len(resid) * self.replay.suffix.length * rows * resid.shape[-1]
        at_once = min(MOST_AT_ONCE, max(1, memory_bytes // max(1, per_set)))
        return (slice(first, first + at_once) for first in range(0, len(sets), at_once))

    def measure(self, sets: Sets, check_stop: StopCheck) -> Values:
        """The metric under every set, mean and per prompt pair. `check_stop` may raise to stop."""
        rows = _Rows(self, sets)
        for layer in range(self.graph.n_layers):
            check_stop()
            rows.through(layer)
        return self.replay.readout.measure(rows.normed(), self.replay.suffix, check_stop)

    def gradient(self, patched: EdgeSet, check_stop: StopCheck) -> Float[np.ndarray, "writer reader"]:
        """The metric's gradient at the share to which each edge carries the other run, in the run of one set.

        What patching one more edge of a set would change, to first order, is its entry; what taking one
        out of the set would change is minus its entry. 0 where there is no edge. Raises `MetricError`
        for a metric without a gradient.
        """
        with torch.enable_grad():
            rows = _Rows(self, self.graph.exists[None])
            rows.shares = rows.shares.new_tensor(patched[None]).requires_grad_()
            for layer in range(self.graph.n_layers):
                check_stop()
                rows.through(layer)
            value = self.replay.readout.differentiable(rows.normed(), self.replay.suffix)
            (found,) = torch.autograd.grad(value, rows.shares)
        return np.where(self.graph.exists, found[0].cpu().double().numpy(), 0.0)


#: Sets that go through the model together: more make the products no faster.
MOST_AT_ONCE = 16


class _Rows:
    """One row for each set: its residual stream, and how far each write so far is from the other run's."""

    def __init__(self, joint: JointReplay, sets: Sets) -> None:
        replay = joint.replay
        self._replay, self._graph, self._other = replay, joint.graph, joint.other
        self._suffix = replay.suffix
        first, other = (
            run.layers[0].resid_pre[:, None, self._suffix.positions] for run in (replay.run, joint.other)
        )
        self._resid = first.expand(-1, len(sets), -1, -1)
        #: Writers that any set patches somewhere; of no other need the write be kept.
        self._used: Int[np.ndarray, " writer"] = np.nonzero(sets.any((0, 2)))[0]
        self._heard: Bool[np.ndarray, " reader"] = np.asarray(sets.any((0, 1)))
        #: To which share each edge carries the other run: 1.0 where a set has it.
        self.shares = torch.from_numpy(sets[:, self._used]).to(first)
        #: The other run's write minus the current one [batch set writer pos d_model].
        self._behind = first.new_empty(len(first), len(sets), len(self._used), *first.shape[2:])
        self._written = 0
        self._write(0, (other - first)[:, :, None])

    def _write(self, writer: int, behind: Float[Tensor, "batch *set writer pos d_model"]) -> None:
        """Keep what the writers from index `writer` on lack to the other run's writes."""
        here = (self._used >= writer) & (self._used < writer + behind.shape[2])
        if not here.any():
            return
        chosen = torch.as_tensor(self._used[here] - writer, device=behind.device)
        last = self._written + len(chosen)
        new = behind[:, :, chosen].expand(-1, len(self.shares), -1, -1, -1)
        if torch.is_grad_enabled():  # what has been read must stay as it was
            self._behind = torch.cat([self._behind[:, :, : self._written], new], dim=2)
        else:
            self._behind[:, :, self._written : last] = new
        self._written = last

    def _columns(self, layer: int, *inputs: str) -> Int[np.ndarray, " reader"]:
        layer_of, reads, _ = self._graph.reader_places.T
        chosen = (layer_of == layer) & np.isin(reads, [INPUTS.index(name) for name in inputs])
        return np.nonzero(chosen)[0]

    def _seen(self, layer: int, *inputs: str) -> Float[Tensor, "batch set reader pos d_model"]:
        """What the readers of one layer by these `inputs` see, each its own patched writers.

        One reader for all where no set patches any of them.
        """
        columns = self._columns(layer, *inputs)
        if not self._heard[columns].any():
            return self._resid[:, :, None]
        at = torch.as_tensor(columns, device=self.shares.device)
        behind = self._behind[:, :, : self._written]
        seen = torch.matmul(self.shares[:, : self._written, at].mT, behind.flatten(3))
        return seen.unflatten(-1, behind.shape[3:]).add_(self._resid[:, :, None])

    def through(self, layer: int) -> None:
        """Run one block."""
        block, other = self._replay.decoder.blocks[layer], self._other.layers[layer]
        queries = self._suffix.queries(self._replay.replay.is_last(layer))
        kept = slice(queries.start - self._suffix.start, queries.stop - self._suffix.start)
        early = self._seen(layer, "mlp")[:, :, 0, kept] if block.parallel and block.mlp is not None else None
        z = self._attend(layer, queries, kept)
        self._resid, self._behind = self._resid[:, :, kept], self._behind[:, :, :, kept]
        self._resid = self._resid + self._heads_write(layer, z, queries)
        if block.mlp is None:
            return
        write = _mlp_write(block, self._seen(layer, "mlp")[:, :, 0] if early is None else early)
        assert other.mlp_write is not None
        first = self._graph.first_writer(layer) + self._graph.n_heads
        self._write(first, (other.mlp_write[:, None, queries] - write)[:, :, None])
        self._resid = self._resid + write

    def _attend(
        self, layer: int, queries: slice, kept: slice
    ) -> Float[Tensor, "batch set head query d_head"]:
        """z of every head, from what its own q, k and v see."""
        block, run = self._replay.decoder.blocks[layer], self._replay.run.layers[layer]
        if not self._heard[self._columns(layer, *HEAD_INPUTS)].any():
            return self._replay.replay.attend(self._resid, layer)[1].transpose(2, 3)
        attention, start, suffix = block.attention, self._suffix.start, self._suffix.positions
        normed = block.attention_norm(self._seen(layer, *HEAD_INPUTS))
        for_q, for_k, for_v = normed.chunk(3, dim=2)
        q = _projected(attention, "q", for_q[:, :, :, kept], queries)
        k, v = _projected(attention, "k", for_k, suffix), _projected(attention, "v", for_v, suffix)
        prefix_k, prefix_v = (
            x[:, :start].repeat_interleave(attention.queries_per_key, 2).transpose(1, 2)[:, None]
            for x in (run.k, run.v)
        )
        scores = torch.cat([q @ prefix_k.mT, q @ k.mT], dim=-1)
        pattern = attention.pattern(scores, attention.visible(queries, self._suffix.n_positions))
        return pattern[..., :start] @ prefix_v + pattern[..., start:] @ v

    def _heads_write(
        self, layer: int, z: Float[Tensor, "batch set head query d_head"], queries: slice
    ) -> Float[Tensor, "batch set query d_model"]:
        """The attention layer's write; of each head is kept what its own lacks to the other run's."""
        block, other = self._replay.decoder.blocks[layer], self._other.layers[layer]
        W_O, norm, first = block.attention.W_O, block.attention_post_norm, self._graph.first_writer(layer)
        other_z = other.z[:, None, queries].transpose(2, 3)
        if norm is None:
            behind = _per_head(other_z - z, W_O)
            self._write(first, behind)
            return other.attention_output[:, None, queries] - behind.sum(2)
        output = block.attention.output(z.transpose(2, 3))
        there = norm.share(
            _per_head(other_z, W_O), norm.scale(other.attention_output[:, None, None, queries])
        )
        self._write(first, there - norm.share(_per_head(z, W_O), norm.scale(output)[:, :, None]))
        return norm(output)

    def normed(self) -> Float[Tensor, "batch set read d_model"]:
        """What the logits see, normed."""
        return self._replay.decoder.normed(self._seen(self._graph.n_layers, "logits")[:, :, 0])


def _mlp_write(block: Block, seen: Tensor) -> Tensor:
    return block.mlp_output((block.mlp_norm or block.attention_norm)(seen))


def _per_head(
    x: Float[Tensor, "batch set head pos d_in"], weight: Float[Tensor, "head d_in d_out"]
) -> Float[Tensor, "batch set head pos d_out"]:
    """One product a head; a broadcast one would copy the weights for every set."""
    by_head = x.permute(2, 0, 1, 3, 4)
    product = by_head.flatten(1, 3) @ weight
    return product.unflatten(1, by_head.shape[1:4]).permute(1, 2, 0, 3, 4)


def _projected(attention: Attention, component: str, normed: Tensor, positions: slice) -> Tensor:
    """q, k or v as attended with [batch set head pos d_head], of each query head from its own input."""
    weight, bias = attention.weights(component)
    copies = normed.shape[2] // len(weight)
    # [batch set head pos d_model] as [key_head (batch set copies pos) d_model]: one product a key head.
    by_head = normed.unflatten(2, (len(weight), copies)).permute(2, 0, 1, 3, 4, 5)
    x = (by_head.flatten(1, 4) @ weight).unflatten(1, by_head.shape[1:5])
    x = x.permute(1, 2, 4, 0, 3, 5).flatten(3, 4)
    if bias is not None:
        x = x + bias.repeat_interleave(copies, 0)
    return attention.attended(x, component, positions).transpose(2, 3)
