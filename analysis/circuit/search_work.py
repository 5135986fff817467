"""The search for a circuit in rounds, so that it can be watched, stopped and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float

from analysis.circuit.of_runs import ExperimentPair, check_of, cut_by
from analysis.circuit.search import MOST_ROUNDS, search
from analysis.experiment import Origin
from analysis.nodes import GraphEdges
from analysis.results import Arrays, CircuitRequest, CircuitResult


class SearchWork:
    """A search for a circuit, before the edges are ranked."""

    def __init__(self, request: CircuitRequest, origin: Origin) -> None:
        self._request, self._here = request, ExperimentPair(origin, request.metric)

    def prepared(self) -> Arrays:
        """The ranking that the search begins with, under ``"ranking"`` [writer reader]."""
        return {"ranking": self._here.pair.estimates()}

    def cut(self, prepared: Arrays) -> SearchPieces:
        """The rounds of the search."""
        return SearchPieces(self._request, self._here, np.asarray(prepared["ranking"]))


class SearchPieces:
    """The rounds of a search; each piece is the smallest circuit after one of them."""

    def __init__(
        self, request: CircuitRequest, here: ExperimentPair, ranking: Float[np.ndarray, "writer reader"]
    ) -> None:
        self._request, self._pair, self._ranking = request, here.pair, ranking
        self.content = cut_by(ranking)
        self.shares = np.full(MOST_ROUNDS, 1.0 / MOST_ROUNDS)
        self.start = CircuitResult(
            request=request,
            edges=np.empty((0, 2), dtype=int),
            faithfulness=0.0,
            sizes=(),
            most_rounds=MOST_ROUNDS,
            **here.fields,
        )

    def run(
        self, finished: Mapping[int, Arrays], stop: Callable[[], bool] | None = None
    ) -> Iterator[tuple[int, Arrays]]:
        """The rounds that are left. Raises `Cancelled` once `stop()` is true."""
        before: list[GraphEdges] = []
        while len(before) in finished:
            before.append(finished[len(before)]["edges"])
        found = search(
            self._pair,
            self._request.faithfulness,
            check_of(stop),
            ranking=self._ranking,
            before=before,
        )
        index = len(before)
        while True:
            with torch.inference_mode(False), torch.no_grad():
                circuit = next(found, None)
            if circuit is None:
                return
            yield index, {"edges": circuit.edges, "faithfulness": np.array(circuit.faithfulness)}
            index += 1
