"""An experiment made ready for circuits, and the scores of sets of its edges."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from analysis.circuit.pair import Pair
from analysis.circuit.scores import scores_of
from analysis.edges import effects_by_position
from analysis.errors import Cancelled
from analysis.experiment import Origin, alone_with
from analysis.metrics import metric_resolution, named_metric
from analysis.requests import MetricName
from analysis.results import (
    CircuitScoresRequest,
    CircuitScoresResult,
    EdgePositionsRequest,
    EdgePositionsResult,
    EdgeSetsRequest,
    EdgeSetsResult,
    Provenance,
)
from analysis.settings import settings
from analysis.sweep import StopCheck


class ExperimentPair:
    """Both runs of an experiment as a `Pair`, with what every result about them holds."""

    def __init__(self, origin: Origin, metric: MetricName) -> None:
        runs = origin.runs
        self._origin, self._metric = origin, named_metric(metric, runs.pair, runs.clean.logits)
        with torch.inference_mode(False), torch.no_grad(), alone_with(runs.model):
            self.pair = Pair.of(runs.model.bridge, runs.pair.clean, runs.pair.corrupted, self._metric)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that every result about edges has, but for the request."""
        graph, tokens = self.pair.graph, self._origin.runs.pair
        return {
            "shape": (graph.n_layers, graph.n_heads, graph.has_mlps, graph.parallel),
            "clean_metric": self.pair.clean_metric,
            "corrupted_metric": self.pair.corrupted_metric,
            "clean_tokens": tokens.clean_tokens,
            "corrupted_tokens": tokens.corrupted_tokens,
            "provenance": self.provenance(),
        }

    def provenance(self, resolution: float | None = None) -> Provenance:
        """The provenance of a result that is finished now; `resolution` is the metric's own if None."""
        gates = self.pair.into_clean.gate, self.pair.into_clean.other
        if resolution is None:
            resolution = metric_resolution(self._metric, self._origin.runs.corrupted.logits)
        return self._origin.provenance("replay", max(gate.gap or 0.0 for gate in gates), resolution)


def edge_sets_result(request: EdgeSetsRequest, origin: Origin) -> EdgeSetsResult:
    """Each set patched as a whole. Raises `PathscopeError` for what is no edge of the model."""
    here = ExperimentPair(origin, request.metric)
    pair = here.pair
    sets = np.stack([pair.set_of(pair.graph.index(edges)) for edges in request.sets])
    return EdgeSetsResult(
        request=request,
        brings_back=pair.brings_back(sets),
        breaks=pair.breaks(sets),
        faithfulness=pair.faithfulness(sets),
        **here.fields,
    )


def edge_positions_result(request: EdgePositionsRequest, origin: Origin) -> EdgePositionsResult:
    """Each edge patched at one position at a time. Raises `PathscopeError` for what is no edge."""
    here = ExperimentPair(origin, request.metric)
    with torch.inference_mode(False), torch.no_grad():
        effects = effects_by_position(here.pair.into_corrupted, here.pair.graph.index(request.edges))
    return EdgePositionsResult(request=request, brings_back=effects / here.pair.difference, **here.fields)


def circuit_scores_result(request: CircuitScoresRequest, origin: Origin) -> CircuitScoresResult:
    """The scores of a set of edges, and of random sets. Raises `PathscopeError` for what is no edge."""
    here = ExperimentPair(origin, request.metric)
    scores = scores_of(here.pair, here.pair.graph.index(request.edges), request.n_random)
    own, random = scores.own, scores.random
    return CircuitScoresResult(
        request=request,
        brings_back=np.concatenate([own.brings_back, random.brings_back]),
        breaks=np.concatenate([own.breaks, random.breaks]),
        faithfulness=np.concatenate([own.faithfulness, random.faithfulness]),
        sum_of_effects=scores.sum_of_effects,
        **here.fields,
    )


def cut_by(ranking: np.ndarray) -> dict[str, Any]:
    """All that decides what the pieces of a ranking hold."""
    return {
        "ranking": sha256(np.ascontiguousarray(ranking).tobytes()).hexdigest(),
        "sweep_bytes": settings().sweep_bytes,
    }


def check_of(stop: Callable[[], bool] | None) -> StopCheck:
    """A `StopCheck` that raises `Cancelled` once `stop()` is true."""

    def check() -> None:
        if stop is not None and stop():
            raise Cancelled("The work was stopped.")

    return check
