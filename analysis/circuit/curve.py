"""Faithfulness over the number of edges, and the two areas that sum it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.circuit.pair import Pair, no_stop, ranked, top_sets
from analysis.errors import PathscopeError
from analysis.metrics import PatchingMetric
from analysis.nodes import Graph
from analysis.sweep import StopCheck

#: Percent of all edges at which MIB's circuit track reads the curve.
MIB_PERCENT = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class CircuitCurve:
    """Faithfulness and what is brought back, over the number of the strongest edges.

    `by_size` ranks edges by the size of their score, `by_sign` by the signed score; both are shares, see
    `analysis.circuit.scores`.
    """

    n_edges: Int[np.ndarray, " point"]
    by_size: Float[np.ndarray, " point"]
    by_sign: Float[np.ndarray, " point"]
    brings_back: Float[np.ndarray, " point"]

    @property
    def cpr(self) -> float:
        """Area under the faithfulness over the share of edges, by signed score; higher is better (MIB)."""
        return float(np.trapezoid(self.by_sign, self._share))

    @property
    def cmd(self) -> float:
        """Area of ``|1 - faithfulness|`` over the share of edges, by the score's size; 0 is best (MIB)."""
        return float(np.trapezoid(np.abs(1.0 - self.by_size), self._share))

    @property
    def _share(self) -> Float[np.ndarray, " point"]:
        return np.asarray(MIB_PERCENT) / 100.0


def circuit_curve(
    model: Any,
    clean_tokens: Int[Tensor, "batch pos"],
    corrupted_tokens: Int[Tensor, "batch pos"],
    metric: PatchingMetric,
    ranking: Float[Tensor, "writer reader"] | Float[np.ndarray, "writer reader"] | None = None,
    *,
    memory_bytes: int | None = None,
) -> CircuitCurve:
    """The curve over the strongest edges by `ranking`, read at MIB's ten points.

    `ranking` holds a score for each edge of `residual_graph(model)`, positive where the edge works towards
    the clean run, such as ``edge_estimates(model, corrupted_tokens, clean_tokens, metric)``; if None it
    is the larger of the estimates in both directions. Raises as `circuit_scores` does, and
    `PathscopeError` for a ranking of another shape or with an edge that has no score.
    """
    pair = Pair.of(model, clean_tokens, corrupted_tokens, metric, memory_bytes=memory_bytes)
    scores = pair.estimates() if ranking is None else _checked(ranking, pair.graph)
    return curve_of(pair, scores)


def curve_of(
    pair: Pair, scores: Float[np.ndarray, "writer reader"], check_stop: StopCheck = no_stop
) -> CircuitCurve:
    """`circuit_curve` of a pair of runs that stands already."""
    total = len(pair.graph)
    sizes = [max(1, round(total * percent / 100)) for percent in MIB_PERCENT]
    by_size = top_sets(pair.graph, ranked(pair.graph, np.abs(scores)), sizes)
    by_sign = top_sets(pair.graph, ranked(pair.graph, scores), sizes)
    return CircuitCurve(
        n_edges=np.array(sizes),
        by_size=pair.faithfulness(by_size, check_stop),
        by_sign=pair.faithfulness(by_sign, check_stop),
        brings_back=pair.brings_back(by_size, check_stop),
    )


def _checked(ranking: Any, graph: Graph) -> Float[np.ndarray, "writer reader"]:
    scores = np.asarray(ranking.cpu() if isinstance(ranking, torch.Tensor) else ranking, dtype=float)
    if scores.shape != graph.exists.shape:
        raise PathscopeError(
            f"The ranking has the shape {list(scores.shape)}, and must be {list(graph.exists.shape)}: a "
            "score for each writer and reader of residual_graph(model)."
        )
    missing = graph.labels(np.argwhere(graph.exists & ~np.isfinite(scores))[:1])
    if missing:
        raise PathscopeError(
            f"The ranking has no finite score for {missing[0][0]} -> {missing[0][1]}; give one for each "
            "edge, 0 where it does not matter."
        )
    return scores
