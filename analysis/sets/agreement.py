"""Whether effects agree over the prompts of a set: mean, spread, sign, rank, and a rule for what holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.labels import percent

if TYPE_CHECKING:
    import pandas as pd

#: Resamples of a bootstrap interval, and the seed of their random numbers.
RESAMPLES, SEED = 10_000, 0
#: Share of the resampled means that lie in the interval.
CONFIDENCE = 0.95
#: The quantiles at which the interval ends.
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
#: So many of the largest effects of a prompt count as its strongest.
STRONGEST = 10
#: With fewer prompts nothing is called robust, and there is no interval.
LEAST_PROMPTS = 3
RULE = (
    f"Over at least {LEAST_PROMPTS} prompts the same sign in all of them (an effect below resolution has "
    f"none), a {percent(CONFIDENCE)} interval of the mean that excludes zero, and among the {STRONGEST} "
    "strongest in more than half of them."
)

#: Items of which the bootstrap is taken at once, to bound its memory.
_AT_ONCE = 256


def standard_error(values: Float[np.ndarray, "prompt ..."]) -> Float[np.ndarray, "..."]:
    """Of the mean over prompts: sample standard deviation over the root of their number; NaN for one prompt.

    >>> standard_error(np.array([1.0, 3.0])).item()
    1.0
    """
    n_prompts = len(values)
    if n_prompts < 2:
        return np.full(values.shape[1:], np.nan)
    deviation: np.ndarray = values.std(axis=0, ddof=1)
    return deviation / np.sqrt(n_prompts)


def bootstrap_interval(values: Float[np.ndarray, "prompt item"]) -> Float[np.ndarray, "end item"]:
    """Lower and upper end of the percentile bootstrap interval of each item's mean.

    Prompts are drawn with replacement `RESAMPLES` times, the same draws for every item, and the ends are the
    percentiles of the resampled means. NaN for fewer than `LEAST_PROMPTS` prompts. With few prompts it is
    narrower than it should be: it knows only what was seen.
    """
    n_prompts, n_items = values.shape
    if n_prompts < LEAST_PROMPTS:
        return np.full((2, n_items), np.nan)
    times = times_drawn(n_prompts)
    parts = [values[:, start : start + _AT_ONCE] for start in range(0, n_items, _AT_ONCE)]
    ends = [np.quantile(times @ part / n_prompts, TAILS, axis=0) for part in parts]
    return np.concatenate([np.empty((2, 0)), *ends], axis=1)


def times_drawn(n_prompts: int) -> Int[np.ndarray, "resample prompt"]:
    """How often each resample has each prompt: as many draws with replacement as there are prompts."""
    drawn = np.random.default_rng(SEED).integers(n_prompts, size=(RESAMPLES, n_prompts))
    times: np.ndarray = (drawn[:, :, None] == np.arange(n_prompts)).sum(axis=1)
    return times


def differs_from_zero(whole: Float[np.ndarray, " prompt"]) -> bool:
    """Whether there is something to be a share of: the mean is more than twice its standard error from zero.

    For one prompt, whether it is not zero.
    """
    return bool(abs(whole.mean()) > 2 * np.nan_to_num(standard_error(whole)))


@dataclass(frozen=True, eq=False)
class Agreement:
    """Effects of the same items (nodes, paths) in every prompt of a set.

    `effect[p, i]` is that of the item `labels[i]` in prompt p, in one unit for all. `below_resolution` is
    where rounding cannot tell it from zero, `strongest` where the item is among the `STRONGEST` largest of
    the prompt. `whole[p]` is what shares of prompt p are shares of: clean minus corrupted metric for paths.
    """

    labels: tuple[str, ...]
    effect: Float[np.ndarray, "prompt item"]
    below_resolution: Bool[np.ndarray, "prompt item"]
    strongest: Bool[np.ndarray, "prompt item"]
    whole: Float[np.ndarray, " prompt"]

    @property
    def n_prompts(self) -> int:
        """How many prompts there are."""
        return len(self.effect)

    @property
    def mean(self) -> Float[np.ndarray, " item"]:
        """The mean effect over prompts."""
        means: np.ndarray = self.effect.mean(axis=0)
        return means

    @cached_property
    def interval(self) -> Float[np.ndarray, "end item"]:
        """`bootstrap_interval` of the mean effect."""
        return bootstrap_interval(self.effect)

    @property
    def share(self) -> Float[np.ndarray, " item"]:
        """Mean effect over mean `whole`: a ratio of means, no mean of ratios.

        NaN unless `whole` `differs_from_zero`.
        """
        nothing = np.full(len(self.labels), np.nan)
        return self.mean / self.whole.mean() if differs_from_zero(self.whole) else nothing

    @property
    def same_sign(self) -> Int[np.ndarray, " item"]:
        """In how many prompts the effect has the sign of the mean; one below resolution has no sign."""
        sign = np.where(self.below_resolution, 0.0, np.sign(self.effect))
        return ((sign == np.sign(self.mean)) & (sign != 0)).sum(axis=0)

    @property
    def times_strongest(self) -> Int[np.ndarray, " item"]:
        """In how many prompts the item is among the strongest."""
        return self.strongest.sum(axis=0)

    @property
    def robust(self) -> Bool[np.ndarray, " item"]:
        """Which items hold by the `RULE`."""
        low, high = self.interval
        return (
            (self.same_sign == self.n_prompts)
            & ((low > 0) | (high < 0))
            & (2 * self.times_strongest > self.n_prompts)
        )

    @property
    def order(self) -> Int[np.ndarray, " item"]:
        """The items, the largest mean in size first."""
        return np.argsort(-np.abs(self.mean), kind="stable")

    def table(self) -> pd.DataFrame:
        """One row per item, the largest mean in size first.

        Columns: item, mean, standard_error, low, high, share, same_sign, strongest (both counts of prompts),
        prompts, robust, and the effect in each prompt as prompt_1 and so on.
        """
        import pandas as pd

        low, high = self.interval
        table = pd.DataFrame(
            {
                "item": self.labels,
                "mean": self.mean,
                "standard_error": standard_error(self.effect),
                "low": low,
                "high": high,
                "share": self.share,
                "same_sign": self.same_sign,
                "strongest": self.times_strongest,
                "prompts": self.n_prompts,
                "robust": self.robust,
                **{f"prompt_{number}": effect for number, effect in enumerate(self.effect, start=1)},
            }
        )
        return table.iloc[self.order].reset_index(drop=True)


def largest(effect: Float[np.ndarray, "prompt item"]) -> Bool[np.ndarray, "prompt item"]:
    """Which items are among the `STRONGEST` largest of each prompt, in size; the first of equals counts."""
    found = np.zeros(effect.shape, dtype=bool)
    order = np.argsort(-np.abs(effect), axis=1, kind="stable")[:, :STRONGEST]
    np.put_along_axis(found, order, True, axis=1)
    return found
