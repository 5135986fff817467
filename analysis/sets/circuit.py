"""The scores of one circuit over the prompts of a set: ratios of means, and each prompt's own share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from analysis.results import EdgeSetsResult
from analysis.sets.agreement import LEAST_PROMPTS, TAILS, differs_from_zero, times_drawn

if TYPE_CHECKING:
    import pandas as pd

#: Scores of a set of edges, as of `analysis.circuit.SetScores`.
SetScore = Literal["brings_back", "breaks", "faithfulness"]
SET_SCORES: tuple[SetScore, ...] = get_args(SetScore)
#: A prompt whose runs differ by less than this share of the mean difference has a share that says little.
_SMALL = 0.1


@dataclass(frozen=True, eq=False)
class CircuitOverPrompts:
    """Scores of the same edges in every prompt of a set, patched as a whole in each.

    `share[p, s]` is the score `SET_SCORES[s]` in prompt p, a share of `difference[p]`, which is the clean
    metric minus the corrupted one in the metric's unit.
    """

    share: Float[np.ndarray, "prompt score"]
    difference: Float[np.ndarray, " prompt"]

    @classmethod
    def of(cls, results: Sequence[EdgeSetsResult]) -> CircuitOverPrompts:
        """Of results on one set of edges each."""
        shares = [[getattr(result, score)[0] for score in SET_SCORES] for result in results]
        return cls(np.array(shares), np.array([result.difference for result in results]))

    @property
    def n_prompts(self) -> int:
        """How many prompts there are."""
        return len(self.difference)

    @cached_property
    def moved(self) -> Float[np.ndarray, "prompt score"]:
        """What the edges move in each prompt, in the metric's unit: the numerators of the shares."""
        return self.share * self.difference[:, None]

    @property
    def ratio(self) -> Float[np.ndarray, " score"]:
        """The sum of what is moved over the sum of differences: no mean of ratios.

        NaN where the differences do not differ from zero over the prompts (`differs_from_zero`).

        >>> CircuitOverPrompts(np.array([[0.9] * 3, [0.5] * 3]), np.array([3.0, 2.0])).ratio.round(3).tolist()
        [0.74, 0.74, 0.74]
        """
        if not differs_from_zero(self.difference):
            return np.full(len(SET_SCORES), np.nan)
        ratios: np.ndarray = self.moved.sum(axis=0) / self.difference.sum()
        return ratios

    @cached_property
    def interval(self) -> Float[np.ndarray, "end score"]:
        """Percentile bootstrap of the ratio over prompts; NaN for few, and where there is no ratio."""
        if self.n_prompts < LEAST_PROMPTS or np.isnan(self.ratio).any():
            return np.full((2, len(SET_SCORES)), np.nan)
        times = times_drawn(self.n_prompts)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = (times @ self.moved) / (times @ self.difference)[:, None]
        ends: np.ndarray = np.quantile(ratios, TAILS, axis=0)
        return ends

    @property
    def small(self) -> Bool[np.ndarray, " prompt"]:
        """Prompts whose own shares say little, since their two runs hardly differ beside the others'."""
        return np.abs(self.difference) < _SMALL * abs(self.difference.mean())

    def without(self, prompt: int) -> CircuitOverPrompts:
        """The same over all prompts but one, by its index."""
        return CircuitOverPrompts(np.delete(self.share, prompt, 0), np.delete(self.difference, prompt))

    def table(self, numbers: Sequence[int] | None = None) -> pd.DataFrame:
        """One row per prompt, then one of all.

        Columns: prompt (of `numbers`, from 1 if None; "all"), difference (of all: the mean), and the
        `SET_SCORES` (of all: the ratio of means).
        """
        import pandas as pd

        named = [*(numbers or range(1, self.n_prompts + 1)), "all"]
        scores = np.vstack([self.share, self.ratio])
        differences = [*self.difference, self.difference.mean()]
        return pd.DataFrame(
            {
                "prompt": pd.Series(map(str, named)),
                "difference": differences,
                **dict(zip(SET_SCORES, scores.T, strict=True)),
            }
        )
