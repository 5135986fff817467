"""The smallest set of edges that can be found to be as faithful as asked.

The search starts from the ranking of the estimates and then goes by the exact joint patch alone: it adds the
edges whose share the faithfulness rises with most steeply in the run that the circuit leaves, and takes
out those without which it stays up. Every set that it reports has been patched as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from analysis.circuit.pair import Pair, no_stop, ranked, top_sets
from analysis.edges import EdgeSet, JointReplay
from analysis.errors import PathscopeError
from analysis.metrics import PatchingMetric
from analysis.nodes import Graph, GraphEdges
from analysis.sweep import StopCheck

#: Rounds of adding and taking out without a smaller circuit, after which the search ends.
_IDLE_ROUNDS = 2
#: Rounds after which it ends in any case.
MOST_ROUNDS = 16
#: The most circuits whose every edge is taken out once on its own.
_ONE_BY_ONE = 400


@dataclass(frozen=True)
class Circuit:
    """A set of edges and its exact faithfulness; `reached` tells whether that is what was asked for."""

    graph: Graph
    edges: GraphEdges
    faithfulness: float
    asked: float

    @property
    def reached(self) -> bool:
        """Whether the circuit is as faithful as asked."""
        return self.faithfulness >= self.asked

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Writer and reader of each edge."""
        return self.graph.labels(self.edges)

    def __len__(self) -> int:
        return len(self.edges)


def find_circuit(
    model: Any,
    clean_tokens: Int[Tensor, "batch pos"],
    corrupted_tokens: Int[Tensor, "batch pos"],
    metric: PatchingMetric,
    faithfulness: float = 0.9,
    *,
    memory_bytes: int | None = None,
) -> Circuit:
    """The smallest set of edges that the search finds with at least that `faithfulness`.

    Faithfulness is that of `circuit_scores`: the clean prompt, every edge outside the set carrying the
    corrupted run. There is no promise that no smaller set exists. Raises `PathscopeError`, or one of
    its kinds, for whatever does not fit together, and for a faithfulness outside 0 to 1.
    """
    pair = Pair.of(model, clean_tokens, corrupted_tokens, metric, memory_bytes=memory_bytes)
    *_, last = search(pair, faithfulness)
    return last


def search(
    pair: Pair,
    faithfulness: float = 0.9,
    check_stop: StopCheck = no_stop,
    *,
    ranking: Float[np.ndarray, "writer reader"] | None = None,
    before: Sequence[GraphEdges] = (),
) -> Iterator[Circuit]:
    """`find_circuit` as it goes: the smallest circuit after each round, at most `MOST_ROUNDS`.

    `ranking` are the estimates to begin with, `Pair.estimates` if None; `before` the circuits of the rounds
    that a former search has been through.
    """
    if not 0.0 < faithfulness <= 1.0:
        raise PathscopeError(
            f"faithfulness is {faithfulness!r}, and must be above 0 and at most 1, such as 0.9."
        )
    scores = pair.estimates(check_stop) if ranking is None else ranking
    hunt = _Search(pair, faithfulness, check_stop, scores)
    rounds = [pair.set_of(edges) for edges in before]
    while len(rounds) < MOST_ROUNDS and _idle_rounds(rounds) < _IDLE_ROUNDS:
        rounds.append(hunt.next_round(rounds))
        yield hunt.circuit(rounds[-1])


def _idle_rounds(rounds: Sequence[EdgeSet]) -> int:
    """How many of the last rounds of swapping have found no smaller circuit."""
    sizes = [int(chosen.sum()) for chosen in rounds]
    return max(0, min(len(sizes) - 2, len(sizes) - 1 - sizes.index(sizes[-1]))) if sizes else 0


class _Search:
    def __init__(
        self,
        pair: Pair,
        faithfulness: float,
        check_stop: StopCheck,
        scores: Float[np.ndarray, "writer reader"],
    ) -> None:
        self._pair, self._asked, self._check_stop = pair, faithfulness, check_stop
        self._ranking = ranked(pair.graph, np.abs(scores))

    def next_round(self, rounds: Sequence[EdgeSet]) -> EdgeSet:
        """The smallest circuit after one more round; that of the last one where it finds no smaller.

        The first goes down the ranking, the second grows a circuit of its own, all others swap edges.
        """
        if not rounds:
            return self.from_ranking()
        best = rounds[-1]
        if len(rounds) == 1:
            found = self.pruned(self.grown(best))
        else:
            found = self.pruned(self.swapped(best, 0.3 if _idle_rounds(rounds) else 0.1))
        return found if found.sum() < best.sum() else best

    def circuit(self, chosen: EdgeSet) -> Circuit:
        (found,) = self._faithfulness(chosen[None])
        return Circuit(self._pair.graph, np.argwhere(chosen), float(found), self._asked)

    def _faithfulness(self, sets: np.ndarray) -> Float[np.ndarray, " set"]:
        return self._pair.faithfulness(sets, self._check_stop)

    def _first_that_holds(
        self, ranking: GraphEdges, start: EdgeSet, sizes: list[int]
    ) -> tuple[int, EdgeSet, bool]:
        """The smallest of `sizes` of edges added to `start` that is faithful enough, or the most faithful.

        As its row among `sizes`, the set, and whether it is faithful enough.
        """
        sets = top_sets(self._pair.graph, ranking, sizes) | start
        found = self._faithfulness(sets)
        holds = np.nonzero(found >= self._asked)[0]
        row = int(holds[0]) if len(holds) else int(found.argmax())
        return row, sets[row], bool(len(holds))

    def from_ranking(self) -> EdgeSet:
        """The first edges of the ranking, as many as it takes."""
        nothing, total = np.zeros_like(self._pair.graph.exists), len(self._ranking)
        sizes = sorted({*np.geomspace(1, total, 16).astype(int).tolist(), total})
        row, found, _ = self._first_that_holds(self._ranking, nothing, sizes)
        if row == 0:
            return found
        between = sorted({*np.linspace(sizes[row - 1], sizes[row], 9)[1:].astype(int).tolist()})
        return self._first_that_holds(self._ranking, nothing, between)[1]

    def _gains(self, chosen: EdgeSet) -> Float[np.ndarray, "writer reader"]:
        """What each edge's clean write adds to the faithfulness of `chosen`, to first order."""
        patched = ~chosen & self._pair.graph.exists
        slope = JointReplay.of(self._pair.into_clean).gradient(patched, self._check_stop)
        return -slope / self._pair.difference

    def _most_wanted(self, chosen: EdgeSet) -> GraphEdges:
        """The edges outside `chosen`, the largest gain first."""
        gains = np.where(chosen, -np.inf, self._gains(chosen))
        order = ranked(self._pair.graph, gains)
        return order[: len(order) - int(chosen.sum())]

    def grown(self, limit: EdgeSet) -> EdgeSet:
        """A faithful set grown from the strongest few edges, where each step adds what is missed most."""
        most = int(limit.sum())
        chosen = top_sets(self._pair.graph, self._ranking, [max(1, most // 16)])[0]
        while (size := int(chosen.sum())) < most:
            step = min(max(1, size // 2), most - size)
            sizes = sorted({*np.geomspace(1, step, 6).astype(int).tolist()})
            _, chosen, holds = self._first_that_holds(self._most_wanted(chosen), chosen, sizes)
            if holds:
                return chosen
        return limit

    def swapped(self, chosen: EdgeSet, share: float) -> EdgeSet:
        """`chosen` and the edges that it misses most, for some others to become superfluous."""
        more = max(1, round(share * int(chosen.sum())))
        return chosen | self._pair.set_of(self._most_wanted(chosen)[:more])

    def pruned(self, chosen: EdgeSet) -> EdgeSet:
        """`chosen` without what can be taken out: by first order while that works, then edge by edge."""
        while True:
            fewer = self._without(chosen, self._by_slope(chosen))
            if fewer is None and chosen.sum() <= _ONE_BY_ONE:
                fewer = self._without(chosen, self._by_trial(chosen))
            if fewer is None:
                return chosen
            chosen = fewer

    def _by_slope(self, chosen: EdgeSet) -> GraphEdges:
        edges = np.argwhere(chosen)
        return edges[np.argsort(self._gains(chosen)[tuple(edges.T)], kind="stable")]

    def _by_trial(self, chosen: EdgeSet) -> GraphEdges:
        edges = np.argwhere(chosen)
        without = np.repeat(chosen[None], len(edges), axis=0)
        without[np.arange(len(edges)), edges[:, 0], edges[:, 1]] = False
        return edges[np.argsort(-self._faithfulness(without), kind="stable")]

    def _without(self, chosen: EdgeSet, order: GraphEdges) -> EdgeSet | None:
        """`chosen` without the most edges from the front of `order` that leave it faithful; None if none."""
        sizes = sorted({*np.geomspace(1, max(1, len(order) - 1), 12).astype(int).tolist()})
        sets = chosen & ~top_sets(self._pair.graph, order, sizes)
        holds = np.nonzero(self._faithfulness(sets) >= self._asked)[0]
        return sets[holds[-1]] if len(holds) else None
