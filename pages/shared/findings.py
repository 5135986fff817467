"""What a page found, in one sentence made from its numbers."""

from __future__ import annotations

import numpy as np

from analysis.labels import counted, head_label, number, percent
from analysis.requests import METRIC_UNITS
from analysis.results import (
    AllSourcesResult,
    AttributionResult,
    NodeAttributionResult,
    PathResult,
    PathsResult,
    RunShown,
)
from pages.shared.choices import COMPONENT

#: Shares of the change between the runs: below the first no path stands out.
_FAINT = 0.01
#: Share of the larger by which an estimate is far from what is measured.
_MUCH = 0.25
_ONE_PAIR = "This is one prompt pair."


def strongest_path(result: PathResult | AllSourcesResult | PathsResult) -> str:
    """Who tells whom most, and how much of the change comes back through that one path."""
    table = result.table(1) if isinstance(result, AllSourcesResult) else result.table().head(1)
    if table.empty:
        return "No path leads from here to a later head."
    path = table.iloc[0]
    component = path["component"] if isinstance(result, PathsResult) else result.request.component
    read = COMPONENT.options[component].lower()
    if path["below_resolution"]:
        return f"No {read} is told anything: every effect is below what rounding can tell from zero."
    unit = METRIC_UNITS[result.request.metric]
    effect = f"{number(path['effect'], '+.3f')} {unit}"
    recovery = "" if np.isnan(path["recovery"]) else f", {percent(path['recovery'], 1)} of the difference"
    if abs(path["recovery"]) < _FAINT:
        return (
            f"No single path into a {read} stands out: the strongest, {path['source']} to "
            f"{path['destination']}, moves the metric by {effect}{recovery}. {_ONE_PAIR}"
        )
    how = "" if path.get("measured", True) else ", as far as is estimated"
    return (
        f"{path['source']} tells {path['destination']}'s {read}: {effect}{recovery}, "
        f"through this one path{how}. {_ONE_PAIR}"
    )


def estimates_missed(result: AllSourcesResult) -> str | None:
    """Whether what is measured of a sweep is what was estimated, and where it is not by much.

    By much is by more than a quarter of the larger of the two, if that is 1 % of the difference or more.
    """
    missed = result.missed
    known = ~np.isnan(missed)
    if not known.any():
        return None
    larger = np.fmax(np.abs(result.values - result.corrupted_metric), np.abs(result.estimate))
    least = max(
        _FAINT * abs(result.clean_metric - result.corrupted_metric), result.provenance.resolution or 0
    )
    with np.errstate(invalid="ignore"):
        off = (np.abs(missed) > _MUCH * larger) & (larger >= least)
    measured = counted(int(known.sum()), "path")
    if not off.any():
        return (
            f"The estimate holds: of the {measured} measured, none that is 1 % of the difference or more is "
            "off by more than a quarter."
        )
    worst = np.unravel_index(np.where(off, np.abs(missed), -1.0).argmax(), missed.shape)
    sl, sh, dl, dh = map(int, worst)
    estimated, true = (
        number(float(value), "+.2f")
        for value in (result.estimate[worst], result.values[worst] - result.corrupted_metric)
    )
    return (
        f"Measured and estimated differ by more than a quarter at {int(off.sum()):,} of the {measured} "
        f"measured (of those that are 1 % of the difference or more). Most at {head_label(sl, sh)} to "
        f"{head_label(dl, dh)}: estimated {estimated}, measured {true} {METRIC_UNITS[result.request.metric]}."
    )


def scale_grown(largest: float | None, drawn: float, end: float, unit: str, running: bool) -> str | None:
    """Whether a map's scale, which is kept while a sweep runs, has had to grow from `largest` to `end`.

    `drawn` is the largest absolute effect on the map; without an estimate there is no `largest`.
    """
    if largest is None:
        return (
            "While paths are measured, the colours' scale grows in steps of 1, 2 and 5." if running else None
        )
    if not largest or end <= largest * 1.001:
        return None
    return (
        f"A path was measured at {number(drawn, '.2f')} {unit}, beyond what was estimated: the colours' "
        f"scale has grown by quarters, from {number(largest, '.2f')} to {number(end, '.2f')}."
    )


def largest_nodes(result: NodeAttributionResult, run: RunShown, position: int) -> str:
    """Which nodes write most at a position, beside the whole."""
    table = result.table(run, position)
    order = np.argsort(-table["attribution"].abs().to_numpy(), kind="stable")[:3]
    first, *others = (
        f"{name} {number(value, '+.2f')}"
        for name, value in table.iloc[order][["name", "attribution"]].itertuples(index=False)
    )
    whole = number(result.whole(run)[position], "+.2f")
    of = {"clean": "clean", "corrupted": "corrupted"}.get(run, "clean minus corrupted")
    return (
        f"Largest direct effects, in logits: {first}"
        + "".join(f", {other}" for other in others)
        + f"; the model's whole difference, {of}, is {whole}. {_ONE_PAIR}"
    )


def largest_part(result: AttributionResult, position: int) -> str:
    """Which part writes most at a position, beside the whole."""
    table = result.table(position)
    if result.request.unit == "layer":
        steps = table["attribution"].diff().abs()
        stage = table["component"].iloc[int(steps.fillna(0.0).to_numpy().argmax())]
        return f"The stream turns most on the way to {stage}."
    part = table.loc[table["attribution"].abs().idxmax()]
    whole = number(result.logit_difference[position], "+.3f")
    return (
        f"{part['component']} writes most: {number(part['attribution'], '+.3f')} logits, where the model's "
        f"difference is {whole} in all."
    )
