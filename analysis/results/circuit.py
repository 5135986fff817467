"""Sets of edges patched together, and the circuit that a search finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from analysis.nodes import GraphEdges
from analysis.requests import LongRequest, MetricName, Request
from analysis.results.graph import EdgeLabels, EdgesResult
from analysis.results.work import Arrays, GrowingResult


@dataclass(frozen=True, eq=False)
class EdgeSetsResult(EdgesResult):
    """Sets of edges, each patched as a whole; scores as of `analysis.circuit.SetScores`, one for each set."""

    arrays: ClassVar[tuple[str, ...]] = ("brings_back", "breaks", "faithfulness")

    request: EdgeSetsRequest
    brings_back: Float[np.ndarray, " set"]
    breaks: Float[np.ndarray, " set"]
    faithfulness: Float[np.ndarray, " set"]


@dataclass(frozen=True)
class EdgeSetsRequest(Request[EdgeSetsResult]):
    """Sets of edges patched together, each as a whole; raises `PathscopeError` for what is no edge."""

    computed_by = "analysis.circuit:edge_sets_result"
    version = 2

    sets: tuple[EdgeLabels, ...]
    metric: MetricName = "logit_difference"

    def measured_paths(self, n_layers: int, n_heads: int, n_tokens: int) -> int:
        """Those of all sets."""
        return sum(map(len, self.sets))


@dataclass(frozen=True, eq=False)
class EdgePositionsResult(EdgesResult):
    """What edges bring back with their writers patched at one position at a time.

    `brings_back[e, p]` is a share; the positions of an edge need not add up to what it brings back.
    """

    arrays: ClassVar[tuple[str, ...]] = ("brings_back",)

    request: EdgePositionsRequest
    brings_back: Float[np.ndarray, "edge pos"]

    @property
    def strongest(self) -> tuple[int, ...]:
        """The position at which each edge brings back most, in size."""
        return tuple(np.abs(self.brings_back).argmax(axis=1).tolist())


@dataclass(frozen=True)
class EdgePositionsRequest(Request[EdgePositionsResult]):
    """Where single edges matter: each is patched at one position at a time."""

    computed_by = "analysis.circuit:edge_positions_result"
    version = 2

    edges: EdgeLabels
    metric: MetricName = "logit_difference"

    def measured_paths(self, n_layers: int, n_heads: int, n_tokens: int) -> int:
        """Each edge at each position."""
        return len(self.edges) * n_tokens


@dataclass(frozen=True, eq=False)
class CircuitScoresResult(EdgesResult):
    """How a set of edges does beside random sets of equal size and mix (`analysis.circuit.circuit_scores`).

    Scores are shares; the first entry is the set's own, the others those of the random sets.
    `sum_of_effects` is what its edges bring back one by one, in sum.
    """

    arrays: ClassVar[tuple[str, ...]] = ("brings_back", "breaks", "faithfulness")

    request: CircuitScoresRequest
    brings_back: Float[np.ndarray, " set"]
    breaks: Float[np.ndarray, " set"]
    faithfulness: Float[np.ndarray, " set"]
    sum_of_effects: float

    def percentile(self, score: Literal["brings_back", "breaks", "faithfulness"]) -> float:
        """Percent of the random sets whose score of that name is below the set's own; NaN without any."""
        own, *others = getattr(self, score).tolist()
        return float(100 * np.mean(np.array(others) < own)) if others else np.nan


@dataclass(frozen=True)
class CircuitScoresRequest(Request[CircuitScoresResult]):
    """The scores of a set of edges, and of `n_random` random sets of the same size and mix."""

    computed_by = "analysis.circuit:circuit_scores_result"
    version = 2

    edges: EdgeLabels
    n_random: int = 50
    metric: MetricName = "logit_difference"

    def measured_paths(self, n_layers: int, n_heads: int, n_tokens: int) -> int:
        """Each edge by itself; the sets are one patch each."""
        return len(self.edges) + self.n_random


@dataclass(frozen=True, eq=False)
class CircuitResult(EdgesResult, GrowingResult):
    """The smallest circuit that a search has found so far.

    `edges` are its edges by index, and `faithfulness` is theirs, patched as a whole. `sizes` is how many
    edges the smallest circuit had after each round; there are at most `most_rounds`.
    """

    arrays: ClassVar[tuple[str, ...]] = ("edges",)
    counted: ClassVar[str] = "rounds"

    request: CircuitRequest
    edges: GraphEdges
    faithfulness: float
    sizes: tuple[int, ...]
    most_rounds: int

    @property
    def n_done(self) -> int:
        """How many rounds are over."""
        return len(self.sizes)

    @property
    def n_total(self) -> int:
        """How many rounds there are at most."""
        return self.most_rounds

    @property
    def progress(self) -> str:
        """What has been found so far."""
        if not self.sizes:
            return "Ranking every path"
        return (
            f"{len(self.edges):,} of {len(self.graph):,} paths are {self.faithfulness:.0%} faithful, "
            f"after {self.n_done} rounds"
        )

    def filled(self, pieces: Iterable[Arrays]) -> CircuitResult:
        """This result after the rounds of `pieces`."""
        result = self
        for piece in pieces:
            edges = np.asarray(piece["edges"])
            sizes = (*result.sizes, len(edges))
            result = replace(result, edges=edges, faithfulness=float(piece["faithfulness"]), sizes=sizes)
        return result

    @property
    def reached(self) -> bool:
        """Whether the circuit is as faithful as asked."""
        return self.faithfulness >= self.request.faithfulness

    @property
    def labels(self) -> EdgeLabels:
        """Writer and reader of each edge."""
        return tuple(self.graph.labels(self.edges))


@dataclass(frozen=True)
class CircuitRequest(LongRequest[CircuitResult]):
    """A search for the smallest set of edges with at least that `faithfulness`."""

    computed_by = "analysis.circuit:SearchWork"
    version = 2
    called = "search"
    in_sequence = True

    faithfulness: float = 0.9
    metric: MetricName = "logit_difference"
