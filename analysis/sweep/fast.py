"""The fast path: patched rows replayed from the destination layer upward."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from analysis.sweep.destination import Destination, FoldedEntry, can_fold, folded_heads
from analysis.sweep.flops import piece_flops
from analysis.sweep.patch import Patch
from analysis.sweep.pieces import Edges, bytes_per_edge, edges_at_once, weights_per_block
from analysis.sweep.readout import Readout
from analysis.sweep.replay import Replay, StopCheck, Suffix
from analysis.sweep.source import decoder_writes, first_changed_position


class FastPath:
    """Measures pieces of a sweep through `Replay`."""

    def __init__(self, patch: Patch) -> None:
        gate = patch.gate
        assert gate.decoder is not None and gate.run is not None
        self._patch, self._decoder, self._run = patch, gate.decoder, gate.run
        self._writes = decoder_writes(patch, gate.decoder)
        n_positions = gate.tokens.shape[1]
        self._readout = Readout(gate.decoder, gate.run, patch.metric)
        start = first_changed_position(self._writes)
        self._suffix = Suffix(start, n_positions, self._readout.position)
        self._replay = Replay(gate.decoder, gate.run, self._suffix)
        self._folded: dict[int, Tensor] = {}
        self.baseline, self._baseline_per_prompt = self._readout.baseline()

    @property
    def _batch(self) -> int:
        return self._run.resid_final.shape[0]

    def edges_at_once(self) -> dict[int, int]:
        """Destination layer -> how many edges fit in a piece."""
        itemsize = self._run.resid_final.element_size()
        per_edge = bytes_per_edge(
            self._decoder, self._suffix, self._batch, itemsize, self._readout.width(self._suffix)
        )
        block = self._decoder.blocks[0]
        n_heads, d_model, d_head = block.attention.W_Q.shape
        weights = weights_per_block(
            d_model, n_heads * d_head, 0 if block.mlp is None else block.mlp.W_in.shape[1]
        )
        positions, n_layers = self._batch * self._suffix.length, len(self._decoder.blocks)
        return {
            layer: edges_at_once(self._patch.memory_bytes, per_edge, positions, weights, n_layers - layer)
            for layer in range(1, n_layers)
        }

    def measure(
        self, edges: Edges, check_stop: StopCheck
    ) -> tuple[Float[np.ndarray, " edge"], Float[np.ndarray, "edge batch"] | None]:
        """The metric of every edge of one piece, mean and per prompt pair."""
        values = np.full(len(edges), self.baseline)
        per_prompt = None
        if self._baseline_per_prompt is not None:
            per_prompt = np.tile(self._baseline_per_prompt, (len(edges), 1))
        heard = self._heard(edges)
        if heard.any():
            resid = self._final_residual(edges[heard], check_stop)
            values[heard], found = self._readout.measure(resid, self._suffix, check_stop)
            if per_prompt is not None and found is not None:
                per_prompt[heard] = found
        return values, per_prompt

    def _heard(self, edges: Edges) -> np.ndarray:
        """Edges that can change what the metric reads: the source writes something new, in time."""
        suffix = self._suffix
        if suffix.length == 0 or (suffix.read is not None and suffix.read < suffix.start):
            return np.zeros(len(edges), dtype=bool)
        silent = {source: self._writes.silent(*source) for source in {(int(e[0]), int(e[1])) for e in edges}}
        return np.array([not silent[int(e[0]), int(e[1])] for e in edges])

    def _final_residual(
        self, edges: Edges, check_stop: StopCheck
    ) -> Float[Tensor, "batch edge read d_model"]:
        layer = int(edges[0, 2])
        device = self._run.resid_final.device
        sources, source_of_edge = np.unique(edges[:, :2], axis=0, return_inverse=True)
        delta = self._writes.delta(torch.as_tensor(sources, device=device), self._suffix)
        rows = self._destination(layer, len(edges)).rows(
            delta,
            torch.as_tensor(source_of_edge.reshape(-1), device=device),
            _slices(edges[:, 3]),
        )
        return self._replay.blocks_above(rows, layer, check_stop)

    def _destination(self, layer: int, n_edges: int) -> Destination:
        block, run = self._decoder.blocks[layer], self._run.layers[layer]
        is_last = self._replay.is_last(layer)
        queries = self._suffix.queries(is_last)
        folded = None
        n_rows = self._batch * (queries.stop - queries.start)
        if can_fold(block, n_rows, n_edges):
            resid_mid = (run.resid_pre + run.attention_output)[:, queries]
            folded = FoldedEntry.of(block, resid_mid, self._folded_heads(layer))
        return Destination(
            block=block,
            run=run,
            suffix=self._suffix,
            is_last=is_last,
            component=self._patch.component,
            ln1_scale=self._patch.ln1_scale(layer) if self._patch.layer_norm == "frozen" else None,
            folded=folded,
        )

    def _folded_heads(self, layer: int) -> Tensor:
        """Kept for the layers worked on last, within a quarter of the memory budget."""
        if layer not in self._folded:
            matrix = folded_heads(self._decoder.blocks[layer])
            size = matrix.numel() * matrix.element_size()
            while self._folded and (len(self._folded) + 1) * size > self._patch.memory_bytes // 4:
                del self._folded[next(iter(self._folded))]
            self._folded[layer] = matrix
        return self._folded[layer]

    def flops(self, edges: Edges) -> float:
        """Operations of the matrix products of one piece: two per multiply-add."""
        return piece_flops(self._decoder, self._suffix, self._batch, edges)


def _slices(heads: np.ndarray) -> list[tuple[int, slice]]:
    """Runs of equal values of a sorted array: (head, where it stands)."""
    found, starts = np.unique(heads, return_index=True)
    return [
        (int(head), slice(int(start), int(stop)))
        for head, start, stop in zip(found, starts, [*starts[1:], len(heads)], strict=True)
    ]
