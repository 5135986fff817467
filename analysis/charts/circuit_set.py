"""The scores of one circuit over the prompts of a set: a dot for each prompt, the ratio of means a tick."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.bars import zero
from analysis.charts.once import drawn_once
from analysis.charts.scales import rounded
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import counted, percent
from analysis.sets import SET_SCORES, CircuitOverPrompts, SetScore

#: How the scores are called in the picture.
_CALLED: dict[SetScore, str] = {
    "brings_back": "brings back",
    "breaks": "breaks",
    "faithfulness": "faithful",
}
_ROW = 32
#: The part of the scale that is shown; shares beyond it are drawn at its ends.
_LEAST, _MOST = -0.25, 1.25


@drawn_once
def circuit_set_chart(
    scores: CircuitOverPrompts, numbers: Sequence[int], theme: Theme = "light"
) -> alt.LayerChart:
    """A row for each score, in shares of the difference; `numbers` are those by which prompts are called.

    Prompts whose own share says little, because their two runs hardly differ, are hollow and grey.
    """
    palette = PALETTES[theme]
    rows, ratios = _rows(scores, numbers), _ratios(scores)
    y = alt.Y("score:N", sort=[*_CALLED.values()], title=None, axis=alt.Axis(grid=True))
    x = alt.X(
        "share:Q",
        title="share of the difference",
        scale=alt.Scale(domain=[_LEAST, _MOST], clamp=True, nice=False),
        axis=alt.Axis(format="~%", values=[0, 0.5, 1]),
    )
    told = [
        alt.Tooltip("score:N"),
        alt.Tooltip("prompt:Q"),
        alt.Tooltip("share:Q", format="+.1%"),
        alt.Tooltip("difference:Q", title="clean minus corrupted", format="+.4~g"),
    ]
    base = alt.Chart(rows).encode(x=x, y=y, tooltip=told)
    dots = (
        base.transform_filter("!datum.small")
        .mark_point(filled=True, size=70, opacity=0.75)
        .encode(color=alt.ColorValue(palette.clean))
    )
    small = (
        base.transform_filter("datum.small")
        .mark_point(filled=False, size=45, strokeWidth=1.5)
        .encode(stroke=alt.StrokeValue(palette.muted))
    )
    ticks = (
        alt.Chart(ratios)
        .mark_tick(thickness=3, height=18, color=palette.text)
        .encode(
            x=alt.X("ratio:Q"),
            y=y,
            tooltip=[alt.Tooltip("score:N"), alt.Tooltip("ratio:Q", title="over all", format="+.1%")],
        )
    )
    line = zero(palette).encode(x=alt.X("zero:Q"))
    return drawn([line, small, dots, ticks], theme, _ROW * len(SET_SCORES), _description(scores))


def _rows(scores: CircuitOverPrompts, numbers: Sequence[int]) -> pd.DataFrame:
    n_scores = len(SET_SCORES)
    return pd.DataFrame(
        {
            "score": [*_CALLED.values()] * scores.n_prompts,
            "prompt": np.repeat(numbers, n_scores),
            "share": rounded(scores.share.ravel()),
            "difference": rounded(np.repeat(scores.difference, n_scores)),
            "small": np.repeat(scores.small, n_scores),
        }
    )


def _ratios(scores: CircuitOverPrompts) -> pd.DataFrame:
    """Nothing where there is no ratio."""
    known = pd.DataFrame({"score": [*_CALLED.values()], "ratio": scores.ratio})
    known = known[known["ratio"].notna()]
    return known.assign(ratio=rounded(known["ratio"]))


def _description(scores: CircuitOverPrompts) -> str:
    told = f"The scores of the paths in each of {counted(scores.n_prompts, 'prompt')}."
    if np.isnan(scores.ratio).any():
        return told
    ratios = ", ".join(
        f"{name} {percent(ratio)}" for name, ratio in zip(_CALLED.values(), scores.ratio, strict=True)
    )
    return f"{told} Over all of them: {ratios}."
