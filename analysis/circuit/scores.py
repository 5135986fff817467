"""Whether a set of edges is the mechanism: how much it brings back, breaks and keeps, beside random sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from analysis.circuit.pair import Pair, no_stop
from analysis.edges import EdgeSet, Sets, measured_effects
from analysis.errors import PathscopeError
from analysis.metrics import PatchingMetric
from analysis.nodes import Graph, GraphEdges
from analysis.sweep import StopCheck

#: The draws of random sets are the same each time.
_SEED = 0


@dataclass(frozen=True)
class SetScores:
    """Scores of one set, or of many: shares of the difference between the clean and the corrupted metric.

    `brings_back` (S): corrupted prompt, the edges carry the clean run: ``(m - m_co) / (m_cl - m_co)``.
    `breaks` (N): clean prompt, the edges carry the corrupted run: ``(m_cl - m) / (m_cl - m_co)``.
    `faithfulness` (f): clean prompt, every other edge carries the corrupted run:
    ``(m - m_co) / (m_cl - m_co)``. The last is the strict one: the edges into the logits alone bring nearly
    everything back.
    """

    brings_back: Float[np.ndarray, " set"]
    breaks: Float[np.ndarray, " set"]
    faithfulness: Float[np.ndarray, " set"]


@dataclass(frozen=True)
class CircuitScores:
    """The scores of a set of edges, and the same of random sets of equal size and mix.

    `sum_of_effects` is what its edges, each alone in the corrupted run, bring back in sum, as a share: beside
    `brings_back` it tells how far the edges add up. A random set has as many edges of each kind, by what
    writes (``embed``, head, MLP) and what reads (q, k, v, MLP, logits). Scores depend on the kind of
    ablation (here: the other prompt's run), the direction, the metric and the prompts (Miller et al. 2024).
    """

    graph: Graph
    edges: GraphEdges
    clean_metric: float
    corrupted_metric: float
    own: SetScores
    sum_of_effects: float
    random: SetScores

    @property
    def brings_back(self) -> float:
        """S of the set."""
        return float(self.own.brings_back[0])

    @property
    def breaks(self) -> float:
        """N of the set."""
        return float(self.own.breaks[0])

    @property
    def faithfulness(self) -> float:
        """f of the set."""
        return float(self.own.faithfulness[0])

    def percentile(self, score: str = "faithfulness") -> float:
        """Percent of the random sets whose score of that name is below the set's; NaN without any."""
        others = getattr(self.random, score)
        return float(100 * np.mean(others < getattr(self.own, score)[0])) if len(others) else np.nan


def circuit_scores(
    model: Any,
    clean_tokens: Int[Tensor, "batch pos"],
    corrupted_tokens: Int[Tensor, "batch pos"],
    metric: PatchingMetric,
    edges: Iterable[Sequence[str]],
    n_random: int = 50,
    *,
    memory_bytes: int | None = None,
) -> CircuitScores:
    """The scores of `edges` (pairs of labels) and of `n_random` random sets of the same size and mix.

    Raises `PathscopeError` where the metric hardly differs between the runs, so that there is nothing to be
    a share of; `UnsupportedModelError` where the replay does not know the model; and one of its kinds
    for whatever does not fit together.
    """
    pair = Pair.of(model, clean_tokens, corrupted_tokens, metric, memory_bytes=memory_bytes)
    return scores_of(pair, pair.graph.index(edges), n_random)


def scores_of(
    pair: Pair, edges: GraphEdges, n_random: int = 50, check_stop: StopCheck = no_stop
) -> CircuitScores:
    """`circuit_scores` of a pair of runs that stands already."""
    if isinstance(n_random, bool) or not isinstance(n_random, int) or n_random < 0:
        raise PathscopeError(f"n_random is {n_random!r}, and must be a whole number from 0, such as 50.")
    edges = np.unique(edges, axis=0)
    alone = measured_effects(pair.into_corrupted, edges, check_stop)
    return CircuitScores(
        graph=pair.graph,
        edges=edges,
        clean_metric=pair.clean_metric,
        corrupted_metric=pair.corrupted_metric,
        own=_scores(pair, pair.set_of(edges)[None], check_stop),
        sum_of_effects=float(alone.sum() / pair.difference),
        random=_scores(pair, random_sets(pair.graph, pair.set_of(edges), n_random), check_stop),
    )


def _scores(pair: Pair, sets: Sets, check_stop: StopCheck) -> SetScores:
    return SetScores(
        pair.brings_back(sets, check_stop), pair.breaks(sets, check_stop), pair.faithfulness(sets, check_stop)
    )


def random_sets(graph: Graph, chosen: EdgeSet, number: int) -> Sets:
    """Random sets with as many edges of each kind as `chosen`."""
    random = np.random.default_rng(_SEED)
    kinds = graph.edge_kinds
    found = np.zeros((number, *chosen.shape), dtype=bool)
    for kind in np.unique(kinds[chosen]).tolist():
        alike = np.argwhere(kinds == kind)
        wanted = int((chosen & (kinds == kind)).sum())
        for row in range(number):
            picked = alike[random.choice(len(alike), wanted, replace=False)]
            found[row][tuple(picked.T)] = True
    return found
