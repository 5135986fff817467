"""An experiment made ready for path patching: the sweep, its metric, its estimate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from analysis.edges import path_estimates
from analysis.errors import UnsupportedModelError
from analysis.experiment import Origin, Runs, alone_with
from analysis.metrics import Metric, metric_resolution, named_metric
from analysis.results import AllSourcesRequest, PathRequest, PathResult, Provenance
from analysis.sweep import Piece, Sweep


class Patching:
    """What single-source and all-sources patching of one request have in common.

    Everything that runs the model or puts hooks on it does so under the model's lock.
    """

    def __init__(self, runs: Runs, request: PathRequest | AllSourcesRequest) -> None:
        self._runs, self._request = runs, request
        self.metric: Metric = named_metric(request.metric, runs.pair, runs.clean.logits)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Layers and heads of sources, then of destinations."""
        cfg = self._runs.model.bridge.cfg
        return cfg.n_layers, cfg.n_heads, cfg.n_layers, cfg.n_heads

    @property
    def _arguments(self) -> tuple[Any, ...]:
        runs = self._runs
        return (
            runs.model.bridge,
            runs.pair.corrupted,
            runs.clean.activations,
            runs.corrupted.activations,
            self.metric,
        )

    def sweep(
        self,
        sources: Sequence[tuple[int, int]] | None = None,
        order: Int[np.ndarray, "edge 4"] | None = None,
    ) -> Sweep:
        """The sweep of this request, over all sources or some, the edges of `order` first."""
        request = self._request
        with alone_with(self._runs.model):
            return Sweep(
                *self._arguments,
                component=request.component,
                layer_norm=request.layer_norm,
                sources=sources,
                order=order,
            )

    def pieces(
        self, sweep: Sweep, skip: Collection[int] = (), stop: Callable[[], bool] | None = None
    ) -> Iterator[Piece]:
        """The pieces of `sweep` as they finish. Raises `Cancelled` once `stop()` is true."""
        pieces = sweep.run(skip=skip, stop=stop)
        if sweep.engine == "replay":
            yield from pieces
            return
        while True:
            with alone_with(self._runs.model):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def estimate(self) -> Float[np.ndarray, "layer head layer head"]:
        """Every effect, exact at the destination and to first order after it.

        NaN where there is no path or no estimate at all.
        """
        runs, request = self._runs, self._request
        try:
            with alone_with(runs.model):
                return path_estimates(
                    runs.model.bridge,
                    runs.pair.corrupted,
                    runs.pair.clean,
                    self.metric,
                    request.component,
                    layer_norm=request.layer_norm,
                )
        except UnsupportedModelError:
            return np.full(self.shape, np.nan)

    def provenance(self, origin: Origin, sweep: Sweep) -> Provenance:
        """Where the numbers of `sweep` come from, and how small an effect they can tell from rounding."""
        resolution = metric_resolution(self.metric, self._runs.corrupted.logits)
        return origin.provenance(sweep.engine, sweep.replay_gap, resolution, sweep.notes)

    def ends(self, sweep: Sweep) -> dict[str, Any]:
        """The fields that every patching result has: both ends of the metric, and the tokens."""
        with torch.no_grad():
            clean = float(self.metric(self._runs.clean.logits))
        if self._runs.pair.identical:
            # Not a rounding error apart, or recovery would divide by it.
            clean = sweep.baseline
        return {
            "corrupted_metric": sweep.baseline,
            "clean_metric": clean,
            "clean_tokens": self._runs.pair.clean_tokens,
            "corrupted_tokens": self._runs.pair.corrupted_tokens,
        }


def path_result(request: PathRequest, origin: Origin) -> PathResult:
    """The metric with each path from one source head patched, one at a time.

    Raises `PathscopeError` for a source head that the model does not have.
    """
    patching = Patching(origin.runs, request)
    sweep = patching.sweep(sources=[(request.source_layer, request.source_head)])
    values = np.full(patching.shape, np.nan)
    for piece in patching.pieces(sweep):
        values[tuple(piece.edges.T)] = piece.values
    return PathResult(
        request=request,
        values=values[request.source_layer, request.source_head],
        provenance=patching.provenance(origin, sweep),
        **patching.ends(sweep),
    )
