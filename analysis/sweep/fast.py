"""The fast path of a sweep: paths between heads, replayed from the destination layer upward."""

from __future__ import annotations

from analysis.sweep.edges import EdgeReplay
from analysis.sweep.flops import piece_flops
from analysis.sweep.patch import Patch
from analysis.sweep.pieces import Edges
from analysis.sweep.readout import Values
from analysis.sweep.replay import StopCheck
from analysis.sweep.source import decoder_writes, first_changed_position
from analysis.sweep.writes import Writes


class FastPath:
    """Measures pieces of a sweep through `EdgeReplay`."""

    #: Whether a piece may hold edges of several destination layers.
    mixes_layers = True

    def __init__(self, patch: Patch) -> None:
        decoder, run = patch.gate.decoder, patch.gate.run
        assert decoder is not None and run is not None
        heads = decoder_writes(patch, decoder)
        self._component, self._graph = patch.component, decoder.graph
        self._replay = EdgeReplay(
            decoder,
            run,
            Writes(decoder.graph, heads),
            patch.metric,
            start=first_changed_position(heads),
            ln1_scale=patch.ln1_scale if patch.layer_norm == "frozen" else None,
            memory_bytes=patch.memory_bytes,
        )
        self.baseline = self._replay.baseline

    def edges_at_once(self) -> dict[int, int]:
        """Lowest destination layer -> how many edges fit in a piece."""
        at_once = self._replay.edges_at_once()
        return {layer: at_once[layer] for layer in range(1, self._graph.n_layers)}

    def measure(self, edges: Edges, check_stop: StopCheck) -> Values:
        """The metric of every edge of one piece, mean and per prompt pair."""
        return self._replay.measure(self._graph.between_heads(edges, self._component), check_stop)

    def flops(self, edges: Edges) -> float:
        """Operations of the matrix products of one piece: two per multiply-add."""
        replay = self._replay
        return piece_flops(replay.decoder, replay.suffix, len(replay.run.resid_final), edges)
