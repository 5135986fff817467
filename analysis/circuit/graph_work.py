"""The residual graph of an experiment in steps: estimated at once, then measured where it is strongest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float

from analysis.circuit.curve import curve_of
from analysis.circuit.of_runs import ExperimentPair, check_of, cut_by
from analysis.circuit.pair import Pair, top_sets
from analysis.edges import strongest_in_steps
from analysis.experiment import Origin
from analysis.nodes import GraphEdges
from analysis.requests import METRIC_UNITS
from analysis.results import Arrays, GraphRequest, GraphResult
from analysis.sweep import StopCheck

#: So many of the strongest edges are measured, in both directions; a drawing shows no more.
MOST_MEASURED = 300
#: How many edges are proved to be the strongest.
PROVED = 20
#: Sizes at which the curve is measured beside MIB's.
_SMALL_SIZES = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 130, 200, 300)
#: A number for each of some edges.
_OfEdges = Callable[[GraphEdges, StopCheck], Float[np.ndarray, " edge"]]


class GraphWork:
    """The graph of an experiment, before it is estimated."""

    def __init__(self, request: GraphRequest, origin: Origin) -> None:
        self._request, self._here = request, ExperimentPair(origin, request.metric)

    def prepared(self) -> Arrays:
        """Both directions' estimates as shares, under ``"estimated"`` [direction writer reader]."""
        return {"estimated": self._here.pair.both_estimates()}

    def cut(self, prepared: Arrays) -> GraphPieces:
        """What is measured of the graph, in the order of the estimates."""
        estimated = np.asarray(prepared["estimated"])
        return GraphPieces(_unmeasured(self._request, self._here, estimated), self._here.pair)


class GraphPieces:
    """The steps by which the numbers of a graph become certain; each is one piece."""

    def __init__(self, start: GraphResult, pair: Pair) -> None:
        self.start, self._pair = start, pair
        self._edges = start.ranking[:MOST_MEASURED]
        self.content = cut_by(start.estimated) | {"measured": len(self._edges)}
        #: Measured on a real model of 30 layers.
        self.shares = np.array([0.07, 0.07, 0.16, 0.7])

    def run(
        self, finished: Mapping[int, Arrays], stop: Callable[[], bool] | None = None
    ) -> Iterator[tuple[int, Arrays]]:
        """The steps as they are done. Raises `Cancelled` once `stop()` is true."""
        check = check_of(stop)
        # Not kept: they would hold this, and all that it measures with, until Python looks for such circles.
        steps = (self._brings_back, self._breaks, self._curve, self._proof)
        for index, step in enumerate(steps):
            if index not in finished:
                check()
                with torch.inference_mode(False), torch.no_grad():
                    yield index, step(check)

    def _brings_back(self, check: StopCheck) -> Arrays:
        return self._measured(0, self._pair.each_brings_back, check)

    def _breaks(self, check: StopCheck) -> Arrays:
        return self._measured(1, self._pair.each_breaks, check)

    def _measured(self, direction: int, measured: _OfEdges, check: StopCheck) -> Arrays:
        shares = measured(self._edges, check)
        return {"direction": np.array(direction), "edges": self._edges, "shares": shares}

    def _curve(self, check: StopCheck) -> Arrays:
        pair, ranking = self._pair, self.start.ranking
        standard = curve_of(pair, self.start.share, check)
        sizes = [size for size in _SMALL_SIZES if size < standard.n_edges[-1]]
        sets = top_sets(pair.graph, ranking, sizes)
        n_edges, first = np.unique(np.concatenate([sizes, standard.n_edges]), return_index=True)

        def joined(small: np.ndarray, large: np.ndarray) -> np.ndarray:
            return np.concatenate([small, large])[first]

        return {
            "curve_edges": n_edges,
            "curve_faithfulness": joined(pair.faithfulness(sets, check), standard.by_size),
            "curve_brings_back": joined(pair.brings_back(sets, check), standard.brings_back),
            "areas": np.array([standard.cpr, standard.cmd]),
        }

    def _proof(self, check: StopCheck) -> Arrays:
        *_, found = strongest_in_steps(self._pair.into_corrupted, PROVED, check_stop=check)
        return {
            "proof": np.frombuffer(
                found.sentence(METRIC_UNITS[self.start.request.metric]).encode(), dtype=np.uint8
            )
        }


def _unmeasured(
    request: GraphRequest, here: ExperimentPair, estimated: Float[np.ndarray, "direction writer reader"]
) -> GraphResult:
    nothing = np.empty(0)
    return GraphResult(
        request=request,
        estimated=estimated,
        measured=np.full_like(estimated, np.nan),
        curve_edges=np.empty(0, dtype=int),
        curve_faithfulness=nothing,
        curve_brings_back=nothing,
        areas=nothing,
        proof=None,
        **here.fields,
    )
