"""Identities of sets of edges patched together, and the scores of one set by hooks on the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from jaxtyping import Bool

from analysis.circuit import Pair, joint_metric, ranked
from analysis.edges import Exchange
from analysis.errors import PathscopeError
from analysis.experiment import Runs
from analysis.metrics import LogitDifference
from analysis.nodes import GraphEdges
from analysis.results import EdgeLabels
from analysis.sanity.hooked_set import HookedSet, can_be_hooked

#: How many of the strongest edges, by the estimates, are patched by hooks: so many as the budget allows.
STRONGEST = (30, 10, 3)
#: Floating-point operations that one set's forward pass with hooks may take: some seconds on two cores.
MOST_OPERATIONS = 3e11


class CircuitChecks:
    """Identities of the joint patch, and its agreement with hooks on the model: `(name, statement, gap)`.

    All gaps are in logits. `edges` are the set that hooks patch, the strongest if there are none. There are
    no checks where no circuit is defined: on a model that is hooked or unknown, or where the logit
    difference hardly differs between the runs. Raises `PathscopeError` for what is no edge of the model.
    """

    def __init__(self, runs: Runs, edges: EdgeLabels = ()) -> None:
        self._runs, self._model, self._edges = runs, runs.model.bridge, edges
        self._metric = LogitDifference(answer=runs.pair.answer, foil=runs.pair.foil)

    @cached_property
    def _pair(self) -> Pair:
        pair = self._runs.pair
        return Pair.of(self._model, pair.clean, pair.corrupted, self._metric)

    def __iter__(self) -> Iterator[tuple[str, str, float]]:
        try:
            exists = self._pair.graph.exists
        except PathscopeError:
            return
        yield (
            "All paths together",
            f"With all {len(self._pair.graph):,} paths patched together, the corrupted prompt gives "
            "the clean run's logit difference.",
            abs(
                self._joint(self._pair.into_corrupted, exists) - float(self._metric(self._runs.clean.logits))
            ),
        )
        yield (
            "No path",
            "With an empty set of paths patched, the corrupted prompt gives its own logit difference.",
            abs(
                self._joint(self._pair.into_corrupted, exists & False)
                - float(self._metric(self._runs.corrupted.logits))
            ),
        )
        if can_be_hooked(self._model):
            yield from self._against_hooks()

    def _against_hooks(self) -> Iterator[tuple[str, str, float]]:
        """The three runs that the scores of a set are made of, each with one forward pass under hooks."""
        for edges in self._candidates():
            chosen = self._pair.set_of(edges)
            which = "paths of the circuit" if self._edges else "strongest paths by the estimate"
            others = ~chosen & self._pair.graph.exists
            runs = (
                ("brings back", "the corrupted prompt, in which they carry the clean run", True, chosen),
                ("breaks", "the clean prompt, in which they carry the corrupted run", False, chosen),
                (
                    "faithfulness",
                    "the clean prompt, in which all others carry the corrupted run",
                    False,
                    others,
                ),
            )
            found = [
                (
                    f"Circuit against hooks, {score}",
                    f"The {chosen.sum():,} {which}, patched as a set, give the same logit difference through "
                    f"the model's own forward pass with hooks: {run}.",
                    gap,
                )
                for score, run, into_corrupted, patched in runs
                if (gap := self._gap(into_corrupted, patched)) is not None
            ]
            if found:
                yield from found
                return

    def _candidates(self) -> Iterator[GraphEdges]:
        """The sets that may be patched, until one of them fits into the budget."""
        if self._edges:
            yield self._pair.graph.index(self._edges)
            return
        ranking = ranked(self._pair.graph, np.abs(self._pair.estimates()))
        for number in STRONGEST:
            yield ranking[:number]

    def _gap(self, into_corrupted: bool, patched: Bool[np.ndarray, "writer reader"]) -> float | None:
        """How far the engine is from the hooks, in logits; None where they would take too long."""
        exchange = self._pair.into_corrupted if into_corrupted else self._pair.into_clean
        tokens, other = exchange.gate.tokens, exchange.other.tokens
        hooked = HookedSet(self._model, self._pair.graph, patched)
        parameters = sum(parameter.numel() for parameter in self._model.parameters())
        if 2.0 * parameters * tokens.shape[1] * hooked.n_rows > MOST_OPERATIONS:
            return None
        return abs(self._joint(exchange, patched) - float(self._metric(hooked.logits(tokens, other))))

    def _joint(self, exchange: Exchange, patched: Bool[np.ndarray, "writer reader"]) -> float:
        return float(joint_metric(exchange, patched[None])[0])
