"""A set of prompts in one picture: the metric of each on both runs, and the effects of each, item by item."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis.charts.once import drawn_once
from analysis.charts.scales import BELOW_RESOLUTION, by_sign, rounded
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import counted
from analysis.labels import number as signed
from analysis.requests import METRIC_UNITS, RUN_NAMES, MetricName
from analysis.sets import STRONGEST, Agreement

#: Height of a row in pixels.
_ROW = 26
#: In pixels beyond the outermost dots, so that none is cut.
_ROOM = alt.Scale(padding=10)


@drawn_once
def metric_strip_chart(
    metrics: Float[np.ndarray, "prompt run"],
    numbers: Sequence[int],
    metric: MetricName,
    theme: Theme = "light",
) -> alt.LayerChart:
    """The metric of every prompt: a row for each run, a dot for each prompt, the mean a tick.

    `metrics` has the clean run first; `numbers` are those by which the prompts are called.
    """
    palette = PALETTES[theme]
    rows = pd.DataFrame(
        {
            "run": np.repeat(RUN_NAMES, len(metrics)),
            "prompt": np.tile(numbers, len(RUN_NAMES)),
            "metric": rounded(metrics.T.ravel()),
        }
    )
    means = pd.DataFrame({"run": RUN_NAMES, "mean": rounded(metrics.mean(axis=0))})
    title = f"{metric.replace('_', ' ')} ({METRIC_UNITS[metric]})"
    colour = alt.Color(
        "run:N", scale=alt.Scale(domain=RUN_NAMES, range=[palette.clean, palette.corrupted]), legend=None
    )
    y = alt.Y("run:N", sort=RUN_NAMES, title=None)
    dots = (
        alt.Chart(rows)
        .mark_circle(size=70, opacity=0.75)
        .encode(
            x=alt.X("metric:Q", title=title, scale=_ROOM),
            y=y,
            color=colour,
            tooltip=[alt.Tooltip("prompt:Q"), alt.Tooltip("run:N"), alt.Tooltip("metric:Q", format="+.4f")],
        )
    )
    ticks = (
        alt.Chart(means)
        .mark_tick(thickness=3, height=16, color=palette.text)
        .encode(x=alt.X("mean:Q"), y=y, tooltip=[alt.Tooltip("run:N"), alt.Tooltip("mean:Q", format="+.4f")])
    )
    clean, corrupted = (signed(mean, "+.3g") for mean in metrics.mean(axis=0))
    description = (
        f"The {metric.replace('_', ' ')} of {counted(len(metrics), 'prompt')}, "
        f"on average {clean} on the clean and {corrupted} on the corrupted run."
    )
    return drawn([_zero(palette.muted), dots, ticks], theme, 2 * _ROW + 10, description)


@drawn_once
def agreement_chart(
    agreement: Agreement, title: str, theme: Theme = "light", numbers: Sequence[int] | None = None
) -> alt.LayerChart:
    """The items with the largest means: a row for each, a dot for each prompt, the mean a tick, on one scale.

    `numbers` are those by which the prompts are called, from 1 if None. Items that hold by the rule have
    filled dots in the colour of their sign, all others hollow grey ones.
    """
    palette = PALETTES[theme]
    order = agreement.order[:STRONGEST]
    rows = _rows(agreement, order, numbers or range(1, agreement.n_prompts + 1))
    means = pd.DataFrame(
        {
            "item": [agreement.labels[index] for index in order],
            "mean": rounded(agreement.mean[order]),
            "same sign": [f"{agreement.same_sign[index]} of {agreement.n_prompts}" for index in order],
        }
    )
    y = alt.Y("item:N", sort=list(means["item"]), title=None, axis=alt.Axis(labelLimit=220, grid=True))
    base = alt.Chart(rows).encode(
        x=alt.X("effect:Q", title=title, scale=_ROOM),
        y=y,
        tooltip=[alt.Tooltip("item:N"), alt.Tooltip("prompt:Q"), alt.Tooltip("told:N", title=title)],
    )
    robust = (
        base.transform_filter("datum.robust")
        .mark_point(filled=True, size=70, opacity=0.8)
        .encode(color=by_sign("effect", palette))
    )
    others = (
        base.transform_filter("!datum.robust")
        .mark_point(filled=False, size=45, strokeWidth=1.5)
        .encode(stroke=alt.StrokeValue(palette.muted))
    )
    ticks = (
        alt.Chart(means)
        .mark_tick(thickness=3, height=16, color=palette.text)
        .encode(
            x=alt.X("mean:Q"),
            y=y,
            tooltip=[alt.Tooltip("item:N"), alt.Tooltip("mean:Q", format="+.4f"), alt.Tooltip("same sign:N")],
        )
    )
    height = max(60, _ROW * len(means))
    description = _description(agreement, order)
    return drawn([_zero(palette.muted), others, robust, ticks], theme, height, description)


def _rows(agreement: Agreement, order: np.ndarray, numbers: Sequence[int]) -> pd.DataFrame:
    rows = [
        (
            agreement.labels[index],
            numbers[prompt],
            0.0 if agreement.below_resolution[prompt, index] else agreement.effect[prompt, index],
            bool(agreement.robust[index]),
        )
        for index in order.tolist()
        for prompt in range(agreement.n_prompts)
    ]
    table = pd.DataFrame(rows, columns=["item", "prompt", "effect", "robust"])
    told = [BELOW_RESOLUTION if effect == 0 else signed(effect, "+.4f") for effect in table["effect"]]
    return table.assign(effect=rounded(table["effect"]), told=told)


def _zero(colour: str) -> alt.Chart:
    return (
        alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=colour, tooltip=None).encode(x=alt.X("zero:Q"))
    )


def _description(agreement: Agreement, order: np.ndarray) -> str:
    if not len(order):
        return "There is nothing to compare."
    first = order[0]
    return (
        f"The {len(order)} largest mean effects over {counted(agreement.n_prompts, 'prompt')}; "
        f"robust are {int(agreement.robust[order].sum())}. Largest: {agreement.labels[first]} with "
        f"{signed(agreement.mean[first], '+.3g')}, the same sign in {agreement.same_sign[first]} of "
        f"{agreement.n_prompts}."
    )
