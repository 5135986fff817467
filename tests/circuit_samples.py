"""Results about edges made by hand: a small graph in which no two numbers are alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from analysis.nodes import Graph
from analysis.requests import Experiment
from analysis.results import (
    CircuitScoresRequest,
    CircuitScoresResult,
    EdgeLabels,
    EdgePositionsRequest,
    EdgePositionsResult,
    EdgeSetsRequest,
    EdgeSetsResult,
    GraphRequest,
    GraphResult,
)
from tests.chart_samples import PROVENANCE

EXPERIMENT = Experiment("demo", "a b", "a c", " x", " y")
SHAPE = (2, 2, True, False)
GRAPH = Graph(*SHAPE)
CLEAN_TOKENS, CORRUPTED_TOKENS = ("<s>", " Mary", " saw"), ("<s>", " John", " saw")


def fields() -> dict[str, Any]:
    """What every result about edges holds."""
    return {
        "provenance": PROVENANCE,
        "shape": SHAPE,
        "clean_metric": 3.0,
        "corrupted_metric": -2.0,
        "clean_tokens": CLEAN_TOKENS,
        "corrupted_tokens": CORRUPTED_TOKENS,
    }


def a_graph(experiment: Experiment = EXPERIMENT, n_measured: int = 12) -> GraphResult:
    """Estimates of every edge, and measurements that differ from them of the strongest."""
    random = np.random.default_rng(3)
    estimated = np.where(GRAPH.exists, random.normal(size=(2, *GRAPH.exists.shape)) ** 3 / 20, np.nan)
    nothing = np.full_like(estimated, np.nan)
    result = GraphResult(
        request=GraphRequest(experiment),
        estimated=estimated,
        measured=nothing,
        curve_edges=np.array([1, 5, 20, len(GRAPH)]),
        curve_faithfulness=np.array([0.01, 0.3, 0.7, 1.0]),
        curve_brings_back=np.array([0.4, 0.8, 0.95, 1.0]),
        areas=np.array([1.125, 0.0375]),
        proof="The 20 strongest are proved.",
        **fields(),
    )
    measured = nothing.copy()
    at = tuple(result.ranking[:n_measured].T)
    measured[0][at] = estimated[0][at] * 1.01 + 0.001
    measured[1][at] = estimated[1][at] * 1.02 + 0.001
    return replace(result, measured=measured)


def scores_of(edges: EdgeLabels, experiment: Experiment = EXPERIMENT) -> CircuitScoresResult:
    """The set's own scores, and those of three random sets."""
    return CircuitScoresResult(
        request=CircuitScoresRequest(experiment, edges),
        brings_back=np.array([0.91, 0.11, 0.25, 0.33]),
        breaks=np.array([0.87, 0.1, 0.2, 0.95]),
        faithfulness=np.array([0.64, 0.01, 0.02, 0.03]),
        sum_of_effects=1.57,
        **fields(),
    )


def own_scores_of(edges: EdgeLabels, experiment: Experiment = EXPERIMENT) -> EdgeSetsResult:
    """The same, of the set alone."""
    return EdgeSetsResult(
        request=EdgeSetsRequest(experiment, (edges,)),
        brings_back=np.array([0.91]),
        breaks=np.array([0.87]),
        faithfulness=np.array([0.64]),
        **fields(),
    )


def positions_of(edges: EdgeLabels, at: list[int]) -> EdgePositionsResult:
    """Each of `edges` with its largest effect at the position in `at`."""
    effects = np.full((len(edges), len(CLEAN_TOKENS)), 0.01)
    effects[np.arange(len(edges)), at] = -0.5
    return EdgePositionsResult(
        request=EdgePositionsRequest(EXPERIMENT, edges), brings_back=effects, **fields()
    )
