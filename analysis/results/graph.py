"""The residual graph of an experiment, with what each of its edges is worth.

Everything here recomputes the norms (LayerNorm mode "exact"). Two questions can be asked of an edge, or of
a set, and both are told as shares of clean metric minus corrupted metric:

- what it *brings back*: the corrupted prompt, and the edge carries what its writer wrote on the clean one;
- what it *breaks*: the clean prompt, and the edge carries what its writer wrote on the corrupted one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int

from analysis.nodes import Graph, GraphEdges
from analysis.requests import LongRequest, MetricName
from analysis.results.provenance import Result
from analysis.results.work import Arrays, GrowingResult

if TYPE_CHECKING:
    import pandas as pd

#: Which question is asked of an edge.
Direction = Literal["brings_back", "breaks"]
DIRECTIONS: tuple[Direction, ...] = ("brings_back", "breaks")
#: A set of edges, each by the labels of its writer and reader.
EdgeLabels = tuple[tuple[str, str], ...]
#: What the piece of the curve holds, by the result's fields.
_OF_THE_CURVE = ("curve_edges", "curve_faithfulness", "curve_brings_back", "areas")


@dataclass(frozen=True, eq=False)
class EdgesResult(Result):
    """What all results about edges of the residual graph share.

    `shape` are the arguments of `analysis.nodes.Graph`. `clean_metric` and `corrupted_metric`, in the
    metric's unit, are what scores are shares of: 0 is the corrupted run, 1 the clean one.
    """

    shape: tuple[int, int, bool, bool]
    clean_metric: float
    corrupted_metric: float
    clean_tokens: tuple[str, ...]
    corrupted_tokens: tuple[str, ...]

    @cached_property
    def graph(self) -> Graph:
        """The writers, readers and edges of the model."""
        return Graph(*self.shape)

    @property
    def difference(self) -> float:
        """Clean metric minus corrupted metric."""
        return self.clean_metric - self.corrupted_metric


@dataclass(frozen=True, eq=False)
class GraphResult(EdgesResult, GrowingResult):
    """Every edge of the residual graph: estimated at once, the strongest measured, the very strongest proved.

    `estimated[d, w, r]` and `measured[d, w, r]` are shares of the difference, for each of `DIRECTIONS`, NaN
    where there is no edge or (yet) no measurement. The `curve_*` hold how the `curve_edges[i]` strongest
    edges do together: `curve_faithfulness` and `curve_brings_back`, and `areas` are CPR and CMD
    (`analysis.circuit.CircuitCurve`); empty until they are measured. `proof` says what is known of the
    edges that are not measured, once it is.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "estimated",
        "measured",
        "curve_edges",
        "curve_faithfulness",
        "curve_brings_back",
        "areas",
    )
    counted: ClassVar[str] = "steps"

    request: GraphRequest
    estimated: Float[np.ndarray, "direction writer reader"]
    measured: Float[np.ndarray, "direction writer reader"]
    curve_edges: Int[np.ndarray, " point"]
    curve_faithfulness: Float[np.ndarray, " point"]
    curve_brings_back: Float[np.ndarray, " point"]
    areas: Float[np.ndarray, " area"]
    proof: str | None

    @property
    def n_done(self) -> int:
        """How many steps are done: measured in either direction, the curve, the proof."""
        measured = (~np.isnan(self.measured)).any(axis=(1, 2))
        return int(measured.sum()) + bool(len(self.curve_edges)) + (self.proof is not None)

    @property
    def n_total(self) -> int:
        """How many steps there are."""
        return 4

    @property
    def progress(self) -> str:
        """What is known so far."""
        return f"All paths are estimated; {self.n_done} of {self.n_total} steps of measuring are done"

    def filled(self, pieces: Iterable[Arrays]) -> GraphResult:
        """This result with the steps that `pieces` hold."""
        result = self
        for piece in pieces:
            found: dict[str, Any] = {name: array for name, array in piece.items() if name in _OF_THE_CURVE}
            if "shares" in piece:
                measured = result.measured.copy()
                measured[int(piece["direction"])][tuple(piece["edges"].T)] = piece["shares"]
                found["measured"] = measured
            if "proof" in piece:
                found["proof"] = bytes(piece["proof"]).decode()
            result = replace(result, **found)
        return result

    @cached_property
    def known(self) -> Float[np.ndarray, "direction writer reader"]:
        """Measured shares, else estimated ones; NaN where there is no edge."""
        return np.where(np.isnan(self.measured), self.estimated, self.measured)

    @cached_property
    def share(self) -> Float[np.ndarray, "writer reader"]:
        """What each edge is worth: the larger, in size, of what it brings back and what it breaks."""
        brings_back, breaks = self.known
        return np.where(np.abs(brings_back) >= np.abs(breaks), brings_back, breaks)

    def share_of(self, edges: EdgeLabels) -> Float[np.ndarray, "writer reader"]:
        """`share` of those `edges`, 0 for all others; NaN where there is no edge."""
        found = np.where(self.graph.exists, 0.0, np.nan)
        at = tuple(self.graph.index(edges).T)
        found[at] = self.share[at]
        return found

    @cached_property
    def ranking(self) -> GraphEdges:
        """Every edge, the one that is worth most (in size) first."""
        edges = self.graph.edges
        return edges[np.argsort(-np.abs(self.share[tuple(edges.T)]), kind="stable")]

    def strongest(self, most: int) -> EdgeLabels:
        """The `most` strongest edges, without those whose worth rounding alone can explain."""
        chosen = self.ranking[:most]
        nothing = self.below_resolution(self.share[tuple(chosen.T)] * self.difference)
        return tuple(self.graph.labels(chosen[~nothing]))

    @cached_property
    def _summed(self) -> Float[np.ndarray, " edge"]:
        worth = np.abs(self.share[tuple(self.ranking.T)]).cumsum()
        return worth / worth[-1] if worth[-1] else worth

    def accounted(self, n_edges: int) -> float:
        """The share of all edges' summed worth that the `n_edges` strongest hold."""
        return float(self._summed[n_edges - 1]) if n_edges else 0.0

    def smallest(self, share: float) -> int:
        """How many of the strongest edges it takes to hold that `share` of all edges' summed worth."""
        return int(np.searchsorted(self._summed, share - 1e-12)) + 1 if share > 0 else 0

    def table(self, edges: GraphEdges | None = None) -> pd.DataFrame:
        """One row for each of `edges` (all, strongest first, if None).

        Columns: writer, reader, share, brings_back, breaks, effect (what it brings back, in the metric's
        unit), measured (false: one or both of these are estimates), rank (1 is the strongest).
        """
        import pandas as pd

        rank = np.empty(self.graph.exists.shape, dtype=int)
        rank[tuple(self.ranking.T)] = np.arange(1, len(self.ranking) + 1)
        chosen = self.ranking if edges is None else np.asarray(edges).reshape(-1, 2)
        at = tuple(chosen.T)
        writers, readers = zip(*self.graph.labels(chosen), strict=True) if len(chosen) else ((), ())
        return pd.DataFrame(
            {
                "writer": list(writers),
                "reader": list(readers),
                "share": self.share[at],
                "brings_back": self.known[0][at],
                "breaks": self.known[1][at],
                "effect": self.known[0][at] * self.difference,
                "measured": (~np.isnan(self.measured[:, *at])).all(axis=0),
                "rank": rank[at],
            }
        )


@dataclass(frozen=True)
class GraphRequest(LongRequest[GraphResult]):
    """Every edge of the residual graph: estimates, measurements and the curve of the strongest."""

    computed_by = "analysis.circuit:GraphWork"
    version = 4
    called = "graph"

    metric: MetricName = "logit_difference"
