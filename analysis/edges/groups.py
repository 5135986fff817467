"""How far the estimate of any unmeasured edge may be off, from random groups of edges patched together.

All unmeasured edges are divided at random into groups, several times over, and each group is patched as
a whole (the idea of the random subsets of AtP*, Kramar et al. 2024). By what a group's effect differs from
the sum of its members' estimates, they have missed together. An edge with a large miss shows in its group,
unless the rest of the group happens to hide it; and that rest is as random a set as any other group is.

So the miss of an edge is at most the range of its division's groups in every division in which its rest is
not the most extreme of all on one side: below all others for an edge that is stronger than its estimate,
above them for a weaker one. For one edge that happens with probability ``1 / groups``. With ``divisions``
independent divisions and N edges, ``N / groups ** divisions`` bounds the probability that any miss exceeds
the largest range of a division. Assumed is that the effects of a random group's members add up; what they do
not add up by widens the range. So that they add up as well as may be, every edge of a group carries what it
carries alone (`analysis.edges.added`).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np
from jaxtyping import Float, Int

from analysis.edges.added import AddedReplay
from analysis.nodes import GraphEdges
from analysis.sweep import StopCheck


def groups_needed(n_edges: int, confidence: float, divisions: int) -> int:
    """Groups of each division so that all edges together miss by more with ``1 - confidence`` at most.

    Few divisions have many small groups, which hide little; many divisions have few large ones, which are
    sooner patched.

    >>> groups_needed(123_211, 0.95, 4), groups_needed(123_211, 0.95, 8)
    (40, 7)
    """
    return ceil((n_edges / (1.0 - confidence)) ** (1.0 / divisions))


class GroupTest:
    """Random groups of `edges`, none of which is measured yet, and what they miss their estimates by."""

    def __init__(
        self,
        added: AddedReplay,
        edges: GraphEdges,
        estimates: Float[np.ndarray, " edge"],
        confidence: float,
        divisions: int,
        seed: int,
    ) -> None:
        self._added, self._edges, self._estimates = added, edges, estimates
        self.n_groups = groups_needed(len(edges), confidence, divisions)
        # A test that follows another has fewer edges, and divides them independently.
        random = np.random.default_rng((seed, len(edges)))
        even = np.arange(len(edges)) % self.n_groups
        self._group: Int[np.ndarray, "division edge"] = np.stack(
            [random.permutation(even) for _ in range(divisions)]
        )
        self._missed: list[Float[np.ndarray, " group"]] = []
        #: The largest range of a division so far, of what has been patched of it; it only grows.
        self.widest = 0.0

    @property
    def n_sets(self) -> int:
        """How many groups are patched in all."""
        return self.n_groups * len(self._group)

    def run(self, check_stop: StopCheck) -> Iterator[int]:
        """Patch every group; yields how many have been patched so far."""
        done = 0
        for group in self._group:
            estimated = np.bincount(group, self._estimates, self.n_groups)
            found = np.empty(self.n_groups)
            shape = self._added.graph.exists.shape
            sets = np.zeros((self.n_groups, *shape), dtype=bool)
            sets[group, self._edges[:, 0], self._edges[:, 1]] = True
            for batch in self._added.in_batches(sets):
                values, _ = self._added.measure(sets[batch], check_stop)
                found[batch] = values - self._added.replay.baseline
                done += len(values)
                missed = (found - estimated)[: batch.stop]
                self.widest = max(self.widest, float(missed.max() - missed.min()))
                yield done
            self._missed.append(found - estimated)

    def band(self, rows: Int[np.ndarray, " measured"], misses: Float[np.ndarray, " measured"]) -> float:
        """The most that any edge but those at `rows` may miss its estimate by, in the metric's unit.

        `rows` have been measured since; their `misses` (effect minus estimate) are taken out of their groups.
        """
        ranges = []
        for group, missed in zip(self._group, self._missed, strict=True):
            left = missed - np.bincount(group[rows], misses, self.n_groups)
            ranges.append(float(left.max() - left.min()))
        return max(ranges)
