"""Edges of the residual graph measured exactly: each patched row enters where its reader reads.

Rows of different readers share one pass: it starts at the lowest layer, and at each layer those rows
join whose readers stand there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analysis.decoder import Block, Decoder, Norm
from analysis.metrics import PatchingMetric
from analysis.nodes import INPUTS, GraphEdges
from analysis.requests import HEAD_INPUTS
from analysis.sweep.destination import Destination, FoldedEntry, can_fold, folded_heads
from analysis.sweep.pieces import bytes_per_edge, check_room, edges_at_once, weights_per_block
from analysis.sweep.readout import Readout, Values
from analysis.sweep.replay import CorruptedRun, LayerRun, Replay, StopCheck, Suffix
from analysis.sweep.writes import Writes

_LOGITS = INPUTS.index("logits")


class EdgeReplay:
    """The metric of the run with one edge at a time carrying what its writer wrote in the other run.

    `ln1_scale` gives a layer's divisor of the frozen LayerNorm, which the norms before MLPs and logits
    then keep from `run` as well; None recomputes every norm. Nothing changes before position `start`.
    Rows take at most `memory_bytes`.
    """

    def __init__(
        self,
        decoder: Decoder,
        run: CorruptedRun,
        writes: Writes,
        metric: PatchingMetric,
        *,
        start: int,
        ln1_scale: Callable[[int], Tensor] | None,
        memory_bytes: int,
    ) -> None:
        self.decoder, self.run, self.writes = decoder, run, writes
        self._ln1_scale, self._memory_bytes = ln1_scale, memory_bytes
        self.readout = Readout(decoder, run, metric)
        self.suffix = Suffix(start, run.resid_final.shape[1], self.readout.position)
        self.replay = Replay(decoder, run, self.suffix)
        self._folded: dict[int, Tensor] = {}
        self.baseline, self.baseline_per_prompt = self.readout.baseline()

    @property
    def _batch(self) -> int:
        return self.run.resid_final.shape[0]

    def edges_at_once(self) -> dict[int, int]:
        """Layer of the lowest reader -> how many edges fit in a piece; the logits follow the last layer."""
        itemsize = self.run.resid_final.element_size()
        per_edge = bytes_per_edge(
            self.decoder, self.suffix, self._batch, itemsize, self.readout.width(self.suffix)
        )
        block = self.decoder.blocks[0]
        n_heads, d_model, d_head = block.attention.W_Q.shape
        weights = weights_per_block(
            d_model, n_heads * d_head, 0 if block.mlp is None else block.mlp.W_in.shape[1]
        )
        positions, n_layers = self._batch * self.suffix.length, len(self.decoder.blocks)
        at_once = {
            layer: edges_at_once(self._memory_bytes, per_edge, positions, weights, max(1, n_layers - layer))
            for layer in range(n_layers + 1)
        }
        check_room(per_edge * max(at_once.values()), self.run.resid_final.device)
        return at_once

    def at(self, position: int) -> EdgeReplay:
        """The same, with the writers patched at one position alone."""
        found = copy.copy(self)
        found.writes = self.writes.at(position)
        return found

    def measure(self, edges: GraphEdges, check_stop: StopCheck) -> Values:
        """The metric of every edge, mean and per prompt pair. `check_stop` may raise to stop."""
        values = np.full(len(edges), self.baseline)
        per_prompt = None
        if self.baseline_per_prompt is not None:
            per_prompt = np.tile(self.baseline_per_prompt, (len(edges), 1))
        heard = self._heard(edges)
        into_logits = self.decoder.graph.reader_places[edges[:, 1], 1] == _LOGITS
        for chosen, normed in (
            (heard & ~into_logits, self._normed),
            (heard & into_logits, self._into_logits),
        ):
            (rows,) = np.nonzero(chosen)
            if not len(rows):
                continue
            rows = rows[np.lexsort(edges[rows].T)]
            values[rows], found = self.readout.measure(
                normed(edges[rows], check_stop), self.suffix, check_stop
            )
            if per_prompt is not None and found is not None:
                per_prompt[rows] = found
        return values, per_prompt

    def _heard(self, edges: GraphEdges) -> Bool[np.ndarray, " edge"]:
        """Edges that can change what the metric reads: the writer writes something new, in time."""
        suffix = self.suffix
        if suffix.length == 0 or (suffix.read is not None and suffix.read < suffix.start):
            return np.zeros(len(edges), dtype=bool)
        writers, of_edge = np.unique(edges[:, 0], return_inverse=True)
        silent = np.array([self.writes.silent(writer) for writer in writers.tolist()], dtype=bool)
        return ~silent[of_edge.reshape(-1)]

    def _normed(self, edges: GraphEdges, check_stop: StopCheck) -> Float[Tensor, "batch edge read d_model"]:
        """The normed final residual stream of every edge, sorted by reader, into heads and MLPs."""
        layers, inputs, _ = self.decoder.graph.reader_places[edges[:, 1]].T
        rows: Tensor | None = None
        for layer in range(layers[0], len(self.decoder.blocks)):
            check_stop()
            parts = [] if rows is None else [self.replay.block(rows, layer)]
            for reads in np.unique(inputs[layers == layer]).tolist():
                parts.append(self._entering(layer, reads, edges[(layers == layer) & (inputs == reads)]))
            rows = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        assert rows is not None
        return self.decoder.normed(rows)

    def _entering(self, layer: int, reads: int, edges: GraphEdges) -> Tensor:
        """The residual stream after `layer` of edges into one kind of its inputs."""
        delta, of_edge = self._deltas(edges)
        heads = self.decoder.graph.reader_places[edges[:, 1], 2]
        if INPUTS[reads] != "mlp":
            return self._destination(layer, reads, len(edges)).rows(delta, of_edge, _slices(heads))
        block, is_last = self.decoder.blocks[layer], self.replay.is_last(layer)
        rows = delta if len(delta[0]) == len(edges) else delta[:, of_edge]
        return mlp_rows(
            block, self.run.layers[layer], self.suffix, is_last, rows, self._ln1_scale is not None
        )

    def _deltas(self, edges: GraphEdges) -> tuple[Float[Tensor, "batch writer pos d_model"], Tensor]:
        """What the writers of `edges` bring, and the row of each edge's writer in it."""
        writers, of_edge = np.unique(edges[:, 0], return_inverse=True)
        device = self.run.resid_final.device
        return self.writes.delta(writers, self.suffix), torch.as_tensor(of_edge.reshape(-1), device=device)

    def _into_logits(
        self, edges: GraphEdges, check_stop: StopCheck
    ) -> Float[Tensor, "batch edge read d_model"]:
        """The normed final residual stream of edges into the logits."""
        check_stop()
        delta, of_edge = self._deltas(edges)
        queries, norm = self.suffix.queries(block_is_last=True), self.decoder.final_norm
        resid = self.run.resid_final[:, None, queries]
        change = delta[:, of_edge, queries.start - self.suffix.start : queries.stop - self.suffix.start]
        return (
            resid + change if norm is None else patched_norm(norm, resid, change, self._ln1_scale is not None)
        )

    def _destination(self, layer: int, reads: int, n_edges: int) -> Destination:
        block, run = self.decoder.blocks[layer], self.run.layers[layer]
        is_last = self.replay.is_last(layer)
        queries = self.suffix.queries(is_last)
        folded = None
        n_rows = self._batch * (queries.stop - queries.start)
        if can_fold(block, n_rows, n_edges):
            resid_mid = (run.resid_pre + run.attention_output)[:, queries]
            folded = FoldedEntry.of(block, resid_mid, self._folded_heads(layer))
        return Destination(
            block=block,
            run=run,
            suffix=self.suffix,
            is_last=is_last,
            component=HEAD_INPUTS[reads],
            ln1_scale=None if self._ln1_scale is None else self._ln1_scale(layer),
            folded=folded,
        )

    def _folded_heads(self, layer: int) -> Tensor:
        """Kept for the layers worked on last, within a quarter of the memory budget."""
        if layer not in self._folded:
            matrix = folded_heads(self.decoder.blocks[layer])
            size = matrix.numel() * matrix.element_size()
            while self._folded and (len(self._folded) + 1) * size > self._memory_bytes // 4:
                del self._folded[next(iter(self._folded))]
            self._folded[layer] = matrix
        return self._folded[layer]


def mlp_rows(
    block: Block,
    run: LayerRun,
    suffix: Suffix,
    is_last: bool,
    delta: Float[Tensor, "batch edge pos d_model"],
    frozen: bool,
) -> Float[Tensor, "batch edge query d_model"]:
    """The residual stream after a block whose MLP alone also reads `delta`."""
    queries = suffix.queries(is_last)
    delta = delta[:, :, queries.start - suffix.start : queries.stop - suffix.start]
    resid_pre = run.resid_pre[:, None, queries]
    resid_mid = resid_pre + block.attention_write(run.attention_output[:, None, queries])
    norm = block.mlp_norm or block.attention_norm
    normed = patched_norm(norm, resid_pre if block.parallel else resid_mid, delta, frozen)
    return block.mlp_output(normed).add_(resid_mid)


def patched_norm(norm: Norm, resid: Tensor, delta: Tensor, frozen: bool) -> Tensor:
    """The norm of the stream with `delta` in it; frozen, its scale is that of the stream without."""
    return norm(resid) + norm.share(delta, norm.scale(resid)) if frozen else norm(resid + delta)


def _slices(heads: np.ndarray) -> list[tuple[int, slice]]:
    """Runs of equal values of a sorted array: (head, where it stands)."""
    found, starts = np.unique(heads, return_index=True)
    return [
        (int(head), slice(int(start), int(stop)))
        for head, start, stop in zip(found, starts, [*starts[1:], len(heads)], strict=True)
    ]
