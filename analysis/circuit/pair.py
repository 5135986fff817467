"""A pair of runs on which sets of edges are judged, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from analysis.edges import EdgeSet, Exchange, JointReplay, Sets, estimated_effects, measured_effects
from analysis.errors import MetricError
from analysis.metrics import PatchingMetric, metric_resolution
from analysis.nodes import Graph, GraphEdges
from analysis.sweep import StopCheck

#: Below so many times the rounding of the metric, the two runs do not differ enough to divide by it.
_RESOLVED = 1e3


def no_stop() -> None:
    """A `StopCheck` that lets everything run to its end."""


@dataclass(frozen=True, eq=False)
class Pair:
    """The clean and the corrupted run, each ready to carry the other's writes.

    `clean_metric` and `corrupted_metric` are what scores are shares of: 0 is the corrupted run, 1 the clean.
    """

    into_clean: Exchange
    clean_metric: float
    corrupted_metric: float

    @classmethod
    def of(
        cls,
        model: Any,
        clean_tokens: Int[Tensor, "batch pos"],
        corrupted_tokens: Int[Tensor, "batch pos"],
        metric: PatchingMetric,
        *,
        memory_bytes: int | None = None,
    ) -> Pair:
        """Run the model on both. Raises `PathscopeError` or one of its kinds, as `Exchange.of` does.

        Also where the replay does not know the model, and where the metric hardly differs between the runs.
        """
        exchange = Exchange.of(model, clean_tokens, corrupted_tokens, metric, memory_bytes=memory_bytes)
        ends = [one.required_replay("circuit").baseline for one in (exchange, exchange.reversed)]
        resolution = metric_resolution(metric, exchange.gate.logits)
        if abs(ends[0] - ends[1]) <= _RESOLVED * resolution:
            raise MetricError(
                f"The metric is {ends[0]:.4g} on the clean run and {ends[1]:.4g} on the corrupted one, and "
                "a circuit's scores are shares of their difference. Choose prompts, or a metric, that differ."
            )
        return cls(exchange, *ends)

    @property
    def graph(self) -> Graph:
        """The writers, readers and edges of the model."""
        return self.into_clean.graph

    @property
    def into_corrupted(self) -> Exchange:
        """The corrupted run, in which edges carry the clean one."""
        return self.into_clean.reversed

    @property
    def difference(self) -> float:
        """Clean metric minus corrupted metric."""
        return self.clean_metric - self.corrupted_metric

    def set_of(self, edges: GraphEdges) -> EdgeSet:
        """Edges by their indices as a set."""
        found = np.zeros(self.graph.exists.shape, dtype=bool)
        found[tuple(edges.T)] = True
        return found

    def faithfulness(self, sets: Sets, check_stop: StopCheck = no_stop) -> Float[np.ndarray, " set"]:
        """f: the clean prompt with every edge outside the set carrying the corrupted run, as a share."""
        return self._share(joint_metric(self.into_clean, ~sets & self.graph.exists, check_stop))

    def brings_back(self, sets: Sets, check_stop: StopCheck = no_stop) -> Float[np.ndarray, " set"]:
        """S: the corrupted prompt with the edges of the set carrying the clean run, as a share."""
        return self._share(joint_metric(self.into_corrupted, sets, check_stop))

    def breaks(self, sets: Sets, check_stop: StopCheck = no_stop) -> Float[np.ndarray, " set"]:
        """N: what the clean prompt loses when the edges of the set carry the corrupted run, as a share."""
        return 1.0 - self._share(joint_metric(self.into_clean, sets, check_stop))

    def each_brings_back(
        self, edges: GraphEdges, check_stop: StopCheck = no_stop
    ) -> Float[np.ndarray, " edge"]:
        """What each of `edges` alone brings back, measured, as a share."""
        return measured_effects(self.into_corrupted, edges, check_stop) / self.difference

    def each_breaks(self, edges: GraphEdges, check_stop: StopCheck = no_stop) -> Float[np.ndarray, " edge"]:
        """What each of `edges` alone breaks, measured, as a share."""
        return -measured_effects(self.into_clean, edges, check_stop) / self.difference

    def both_estimates(self, check_stop: StopCheck = no_stop) -> Float[np.ndarray, "direction writer reader"]:
        """What each edge brings back and what it breaks, estimated, as shares; NaN where there is no edge.

        Into the corrupted run: what its clean write would bring back. Into the clean run: what its corrupted
        write would break.
        """
        brought = estimated_effects(self.into_corrupted, check_stop=check_stop) / self.difference
        broken = -estimated_effects(self.into_clean, check_stop=check_stop) / self.difference
        return np.stack([brought, broken])

    def estimates(self, check_stop: StopCheck = no_stop) -> Float[np.ndarray, "writer reader"]:
        """How much each edge matters: the larger, in size, of `both_estimates`."""
        brought, broken = self.both_estimates(check_stop)
        return np.where(np.abs(brought) >= np.abs(broken), brought, broken)

    def _share(self, values: Float[np.ndarray, " set"]) -> Float[np.ndarray, " set"]:
        return (values - self.corrupted_metric) / self.difference


def joint_metric(
    exchange: Exchange, sets: Bool[np.ndarray, "set writer reader"], check_stop: StopCheck = no_stop
) -> Float[np.ndarray, " set"]:
    """The metric under each set, so many at a time as fit in memory."""
    joint = JointReplay.of(exchange)
    with torch.no_grad():
        batches = joint.in_batches(sets)
        found = [joint.measure(sets[batch], check_stop)[0] for batch in batches]
    return np.concatenate(found) if found else np.empty(0)


def ranked(graph: Graph, scores: Float[np.ndarray, "writer reader"]) -> GraphEdges:
    """Every edge, the largest score first."""
    edges = graph.edges
    return edges[np.argsort(-scores[tuple(edges.T)], kind="stable")]


def top_sets(graph: Graph, ranking: GraphEdges, sizes: Sequence[int]) -> Sets:
    """The first so many edges of `ranking`, for each of `sizes`."""
    found = np.zeros((len(sizes), *graph.exists.shape), dtype=bool)
    for row, size in enumerate(sizes):
        found[row][tuple(ranking[:size].T)] = True
    return found
