"""All sources of an experiment in pieces, the most promising paths first.

The order of the edges, and with it the composition of the pieces, comes from the estimate, which is
therefore what the work is cut by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from analysis.experiment import Origin
from analysis.patching.of_runs import Patching
from analysis.results import AllSourcesRequest, AllSourcesResult, Arrays
from analysis.settings import settings


class AllSourcesWork:
    """Direct path patching from every source, before the estimate has ordered it."""

    def __init__(self, request: AllSourcesRequest, origin: Origin) -> None:
        self._request, self._origin = request, origin
        self._patching = Patching(origin.runs, request)

    def prepared(self) -> Arrays:
        """The estimate of every effect, under ``"estimate"``."""
        return {"estimate": self._patching.estimate()}

    def cut(self, prepared: Arrays) -> AllSourcesPieces:
        """The sweep in pieces, by the order of the estimate."""
        return AllSourcesPieces(self._request, self._origin, self._patching, prepared["estimate"])


class AllSourcesPieces:
    """A sweep over all sources in pieces: each holds ``"edges"`` [edge 4] and their ``"values"``.

    `content` names the order, the memory budget, which engine computes and how many edges there are;
    all of them decide which edges a piece holds or the last bits of what is measured for them.
    """

    def __init__(
        self,
        request: AllSourcesRequest,
        origin: Origin,
        patching: Patching,
        estimate: Float[np.ndarray, "layer head layer head"],
    ) -> None:
        order = most_promising_first(estimate)
        self._patching, self._sweep = patching, patching.sweep(order=order)
        self.shares = self._sweep.shares()
        self.content: dict[str, Any] = {
            "order": sha256(np.ascontiguousarray(order).tobytes()).hexdigest(),
            "sweep_bytes": settings().sweep_bytes,
            "engine": self._sweep.engine,
            "edges": self._sweep.n_edges,
        }
        self.start = AllSourcesResult(
            request=request,
            values=np.full(patching.shape, np.nan),
            estimate=np.array(estimate),
            provenance=patching.provenance(origin, self._sweep),
            **patching.ends(self._sweep),
        )

    def run(
        self, finished: Mapping[int, Arrays], stop: Callable[[], bool] | None = None
    ) -> Iterator[tuple[int, Arrays]]:
        """The pieces of the sweep as they finish. Raises `Cancelled` once `stop()` is true."""
        for piece in self._patching.pieces(self._sweep, skip=finished, stop=stop):
            yield piece.index, {"edges": piece.edges, "values": piece.values}


def most_promising_first(
    estimate: Float[np.ndarray, "layer head layer head"],
) -> Int[np.ndarray, "edge 4"]:
    """Edges by estimated size of their effect, largest first; empty if there is no estimate."""
    edges = np.argwhere(~np.isnan(estimate))
    return edges[np.argsort(-np.abs(estimate[tuple(edges.T)]), kind="stable")]
