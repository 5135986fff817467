"""What a prompt set says, in sentences made from its numbers."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from analysis.labels import counted, number, percent
from analysis.requests import METRIC_UNITS, MetricName
from analysis.sets import (
    LEAST_PROMPTS,
    RESAMPLES,
    RULE,
    SEED,
    STRONGEST,
    Agreement,
    ItemAgreement,
    standard_error,
)
from pages.shared.choices import METRIC

#: Ranks that are told one by one.
_MOST_RANKS = 8


def finding(metrics: Float[np.ndarray, "prompt run"], metric: MetricName, paths: Agreement | None) -> str:
    """What the set says; `paths` is None where the model has no estimate of them."""
    of_paths = few_prompts(len(metrics)) if paths is None else paths_finding(paths)
    return " ".join(filter(None, (metrics_finding(metrics, metric), of_paths)))


def rule_caption(n_prompts: int) -> str:
    """The rule for what is robust, and how easily signs agree by themselves."""
    if n_prompts < LEAST_PROMPTS:
        return f"Robust: {RULE}"
    return (
        f"Robust: {RULE} Intervals are percentile bootstraps over prompts ({RESAMPLES:,} resamples, seed "
        f"{SEED}), and with few prompts too narrow. An effect whose sign were a coin's would agree in all "
        f"{n_prompts} once in {2 ** (n_prompts - 1):,} times, and many are looked at here."
    )


def metrics_finding(metrics: Float[np.ndarray, "prompt run"], metric: MetricName) -> str:
    """The metric on both runs over all prompts, and whether it differs in the same direction in all."""
    title, unit = METRIC.options[metric], METRIC_UNITS[metric]
    clean, corrupted = (
        with_error(mean, error)
        for mean, error in zip(metrics.mean(axis=0), standard_error(metrics), strict=True)
    )
    difference = metrics[:, 0] - metrics[:, 1]
    same = int((np.sign(difference) == np.sign(difference.mean())).sum())
    over = "" if len(metrics) == 1 else f" It differs in the same direction in {same} of {len(metrics)}."
    return f"{title}, {unit}: {clean} on the clean and {corrupted} on the corrupted run.{over}"


def paths_finding(paths: Agreement) -> str:
    """Which path holds over the prompts, and how many lead in one alone; nothing of the kind for a few."""
    if paths.n_prompts < LEAST_PROMPTS:
        return few_prompts(paths.n_prompts)
    robust = [index for index in paths.order if paths.robust[index]]
    alone = int((paths.times_strongest == 1).sum())
    passing = f"{counted(alone, 'path')} {'leads' if alone == 1 else 'lead'} in one prompt alone."
    compared = f"Of {counted(len(paths.labels), 'path')} among the {STRONGEST} strongest of any prompt"
    if not robust:
        return f"{compared} none is robust; {passing}"
    first = robust[0]
    share = "" if np.isnan(paths.share[first]) else f" with {percent(paths.share[first])} of the difference"
    return (
        f"{compared}, {len(robust)} {'is' if len(robust) == 1 else 'are'} robust, first {paths.labels[first]}"
        f"{share}, among the strongest in {paths.times_strongest[first]} of {paths.n_prompts}; {passing}"
    )


def item_finding(item: ItemAgreement, called: str, unit: str, among: str, n_ranked: int) -> str:
    """What a set says of one node or path: mean, sign, and its rank `among` `n_ranked` others."""
    found = item.agreement
    n_prompts, [mean], [share] = found.n_prompts, found.mean, found.share
    error = float(standard_error(item.effect))
    of_all = "" if np.isnan(share) else f", {percent(share)} of the mean difference"
    return (
        f"Over {counted(n_prompts, 'prompt')} {called} {with_error(mean, error)} {unit} on average{of_all}, "
        f"with the same sign in {found.same_sign[0]} of {n_prompts}. Rank by size {among}: "
        f"{_ranks(item.rank.tolist(), n_ranked)}. {_holds(item)}"
    )


def _holds(item: ItemAgreement) -> str:
    n_prompts = item.agreement.n_prompts
    if n_prompts < LEAST_PROMPTS:
        return few_prompts(n_prompts)
    return f"It is {'called' if item.robust else 'not called'} robust."


def _ranks(ranks: list[int], n_ranked: int) -> str:
    """Ranks in words: each of a few, else the range and the middle one.

    >>> _ranks([1, 2, 51], 50), _ranks([1, 1], 50)
    ('1, 2 and beyond 50', '1 in each')
    >>> _ranks([*range(1, 12)], 50)
    '1 to 11, in the middle 6'
    """
    if len(ranks) > 1 and len(set(ranks)) == 1 and ranks[0] <= n_ranked:
        return f"{ranks[0]} in each"
    many = len(ranks) > _MOST_RANKS
    if many:
        ranks = [min(ranks), max(ranks), sorted(ranks)[len(ranks) // 2]]
    told = [str(rank) if rank <= n_ranked else f"beyond {n_ranked}" for rank in ranks]
    if many:
        return f"{told[0]} to {told[1]}, in the middle {told[2]}"
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def few_prompts(n_prompts: int) -> str:
    """What one prompt, or two, cannot tell; nothing of more."""
    if n_prompts == 1:
        return "This is one prompt: whether anything here holds for others is not known."
    if n_prompts >= LEAST_PROMPTS:
        return ""
    return f"These are {n_prompts} prompts: with fewer than {LEAST_PROMPTS} nothing is called robust."


def with_error(mean: float, error: float) -> str:
    """A mean and its standard error, where there is one.

    >>> with_error(1.5, 0.25), with_error(-2.0, float("nan"))
    ('+1.50 ± 0.25', '−2.00')
    """
    told = number(mean, "+.2f")
    return told if np.isnan(error) else f"{told} ± {number(error, '.2f')}"
