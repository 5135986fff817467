"""Down the ranking of the estimates: what has been measured so far, and what is known about the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.edges.added import AddedReplay
from analysis.edges.effects import measured_effects
from analysis.edges.estimates import estimated_effects
from analysis.edges.exchange import Exchange
from analysis.edges.groups import GroupTest, groups_needed
from analysis.errors import MetricError, PathscopeError
from analysis.nodes import Graph, GraphEdges
from analysis.sweep import StopCheck

#: A group of edges patched together costs about as much as so many edges alone.
_EDGES_PER_GROUP = 4


@dataclass(frozen=True)
class Round:
    """Edges are measured down to `depth` times the k-th effect, `most` of them for each of the k at most.

    Then the rest is tested in groups, `divisions` times over: the fewer strong edges are in them, the smaller
    are their misses. Of the probability that is left for an error this test takes `share`.
    """

    depth: float
    most: float
    divisions: int
    share: float


@dataclass(frozen=True)
class StrongestEdges:
    """The k edges with the largest measured effects, largest first, of `n_edges` that there are.

    `bound` is what no other edge's effect exceeds in size: the largest estimate among the unmeasured ones
    plus `band`, which is the most that an estimate among them may be off. That holds for all of them
    together with the probability `confidence`, under the assumption that `analysis.edges.groups` states;
    band and bound are NaN as long as nothing is known, and 0 once everything is measured. `largest_miss`
    is the largest difference between effect and estimate among the measured edges. `proved`: the k-th
    effect exceeds the bound. `estimated` is false where the metric has no gradient and edges
    were measured in plain order.
    """

    graph: Graph
    edges: GraphEdges
    effects: Float[np.ndarray, " edge"]
    n_edges: int
    n_measured: int
    band: float
    bound: float
    largest_miss: float
    confidence: float
    estimated: bool

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Writer and reader of each edge."""
        return self.graph.labels(self.edges)

    @property
    def proved(self) -> bool:
        """Whether no other edge can be among them, as far as `confidence` goes."""
        return self.n_measured == self.n_edges or bool(np.abs(self.effects).min(initial=np.inf) >= self.bound)

    def sentence(self, unit: str = "logits") -> str:
        """What is known about the others, for people."""
        if self.n_measured == self.n_edges:
            return f"All {self.n_edges:,} paths are measured exactly."
        found = f"The {len(self.edges)} strongest of {self.n_edges:,} paths are measured exactly"
        if self.proved:
            return f"{found}; with {self.confidence:.0%} confidence no other exceeds {self.bound:.2g} {unit}."
        if not self.estimated:
            return (
                f"{self.n_measured:,} of {self.n_edges:,} paths are measured, in plain order, because this "
                "metric has no gradient to order them by; any of the others may be stronger."
            )
        weakest = float(np.abs(self.effects).min(initial=np.inf))
        known = "" if np.isnan(self.bound) else f", up to {self.bound:.2g} {unit}"
        return (
            f"{self.n_measured:,} of {self.n_edges:,} paths are measured exactly, strongest estimates first. "
            f"Another may still exceed the {len(self.edges)}th, {weakest:.2g} {unit}{known}."
        )


class Walk:
    """Down the ranking: what has been measured so far, and what is known about the rest."""

    def __init__(
        self,
        exchange: Exchange,
        k: int,
        among: Bool[np.ndarray, "writer reader"] | None,
        confidence: float,
        check_stop: StopCheck,
    ) -> None:
        _require(k, confidence)
        self._exchange, self._k, self._confidence, self._check_stop = exchange, k, confidence, check_stop
        graph = exchange.graph
        edges = np.argwhere(graph.exists if among is None else graph.exists & among)
        try:
            estimates = estimated_effects(exchange, check_stop=check_stop)[tuple(edges.T)]
            self.estimated = True
        except MetricError:
            estimates, self.estimated = np.zeros(len(edges)), False
        order = np.argsort(-np.abs(estimates), kind="stable")
        self._edges, self._estimates = edges[order], estimates[order]
        self._effects: Float[np.ndarray, " measured"] = np.empty(0)
        self._groups: GroupTest | None = None
        self._judged_from = 0

    @property
    def n_measured(self) -> int:
        """How many edges have been measured."""
        return len(self._effects)

    @property
    def unmeasured(self) -> int:
        """How many have not."""
        return len(self._edges) - self.n_measured

    def measure(self) -> None:
        """Measure the next edges of the ranking, as many as go through the model together."""
        assert self._exchange.replay is not None
        at_once = self._exchange.replay.edges_at_once()[0]
        found = measured_effects(
            self._exchange, self._edges[self.n_measured : self.n_measured + at_once], self._check_stop
        )
        self._effects = np.concatenate([self._effects, found])

    def worth_measuring(self, planned: Round) -> bool:
        """Whether the next edge is to be measured before the test of that round."""
        if self.n_measured < 4 * self._k:
            return True
        deep = abs(self._estimates[self.n_measured]) <= planned.depth * self._weakest
        return bool(not deep and self.n_measured < planned.most * self._k)

    @property
    def leeway(self) -> float:
        """The largest band with which the k edges are proved: what the k-th exceeds the next estimate by."""
        return self._weakest - abs(float(self._estimates[self.n_measured]))

    @property
    def _weakest(self) -> float:
        """The size of the k-th effect so far; 0 with fewer than k."""
        return float(np.sort(np.abs(self._effects))[-self._k]) if self.n_measured >= self._k else 0.0

    def worth_a_group_test(self, planned: Round) -> int:
        """How many edges can be measured in the time of `group_test`."""
        groups = groups_needed(self.unmeasured, self._confident(planned.share), planned.divisions)
        return _EDGES_PER_GROUP * planned.divisions * groups

    def group_test(self, planned: Round, seed: int) -> GroupTest:
        """Random groups of the edges that are left, which may be wrong with their share of the doubt."""
        left, added = slice(self.n_measured, None), AddedReplay.of(self._exchange)
        return GroupTest(
            added,
            self._edges[left],
            self._estimates[left],
            self._confident(planned.share),
            planned.divisions,
            seed,
        )

    def _confident(self, share: float) -> float:
        return 1.0 - share * (1.0 - self._confidence)

    def judge_by(self, groups: GroupTest) -> None:
        """Take the band from `groups`, which were made of the edges that are unmeasured now."""
        self._groups, self._judged_from = groups, self.n_measured

    def state(self) -> StrongestEdges:
        """What is known now."""
        order = np.argsort(-np.abs(self._effects), kind="stable")[: self._k]
        misses = self._effects - self._estimates[: self.n_measured]
        band = bound = 0.0
        if self.unmeasured:
            since = np.arange(self._judged_from, self.n_measured)
            groups = self._groups
            band = np.nan if groups is None else groups.band(since - self._judged_from, misses[since])
            bound = band + abs(float(self._estimates[self.n_measured]))
        return StrongestEdges(
            graph=self._exchange.graph,
            edges=self._edges[order],
            effects=self._effects[order],
            n_edges=len(self._edges),
            n_measured=self.n_measured,
            band=band,
            bound=bound,
            largest_miss=float(np.abs(misses).max(initial=0.0)) if self.estimated else np.nan,
            confidence=self._confidence,
            estimated=self.estimated,
        )


def _require(k: int, confidence: float) -> None:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise PathscopeError(f"k is {k!r}, and must be a whole number from 1: how many edges to find.")
    if not 0.0 < confidence < 1.0:
        raise PathscopeError(f"confidence is {confidence!r}, and must lie between 0 and 1, such as 0.95.")
