"""One path patched at one position at a time: which token carries it."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.effects import title_of
from analysis.charts.once import drawn_once
from analysis.charts.scales import PERCENT, PLAIN, by_sign, number, rounded, told_from_zero
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import number as signed
from analysis.labels import token_of_both
from analysis.results import EffectScale, PathPositionsResult

_HEIGHT = 150


@drawn_once
def path_positions_chart(
    result: PathPositionsResult, scale: EffectScale = "effect", theme: Theme = "light"
) -> alt.LayerChart:
    """A bar for each token: the effect of the path with its source patched at that position alone.

    The axis reaches from zero to the effect of the path patched everywhere, or farther. Where the prompts
    differ both tokens are named, the corrupted one first.
    """
    palette, names = PALETTES[theme], _names(result)
    effect = told_from_zero(result, result.effect)
    values = effect if scale == "effect" else result.recovery(effect)
    rows = pd.DataFrame({"token": names, "value": rounded(values)})
    rows = rows[np.isfinite(rows["value"])]
    form, title = "+.4f" if scale == "effect" else "+.2%", title_of(result, scale)
    whole = result.whole if scale == "effect" else float(result.recovery(np.array(result.whole)))
    ticks = PLAIN if scale == "effect" else PERCENT
    ends = [*rows["value"], 0.0, whole] if np.isfinite(whole) else [*rows["value"], 0.0]
    y = alt.Y(
        "value:Q",
        title=title,
        scale=alt.Scale(domain=[min(ends), max(ends)]),
        axis=alt.Axis(
            grid=True,
            tickCount=5,
            labelExpr=f"datum.value == 0 ? '0' : format(datum.value, '{ticks}')",
        ),
    )
    x = alt.X(
        "token:N",
        sort=names,
        title="token of the source",
        axis=alt.Axis(labelAngle=-60, labelLimit=110, labelOverlap=True),
        scale=alt.Scale(domain=names),
    )
    bars = (
        alt.Chart(rows)
        .transform_calculate(told=number("datum.value", result.provenance.resolution, form))
        .mark_bar()
        .encode(
            x=x,
            y=y,
            color=by_sign("value", palette),
            tooltip=[alt.Tooltip("token:N"), alt.Tooltip("told:N", title=title)],
        )
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=palette.muted, tooltip=None)
    return drawn([bars, zero.encode(y=alt.Y("zero:Q"))], theme, _HEIGHT, _description(result, names))


def _names(result: PathPositionsResult) -> list[str]:
    both = zip(result.corrupted_tokens, result.clean_tokens, strict=True)
    return [f"{position}: {token_of_both(*tokens)}" for position, tokens in enumerate(both)]


def _description(result: PathPositionsResult, names: list[str]) -> str:
    strongest = int(np.abs(result.effect).argmax())
    source, destination = result.request.path
    return (
        f"The path from {source} to {destination}, patched at one position at a time. Largest: "
        f"{names[strongest]} with {signed(float(result.effect[strongest]), '+.3g')}."
    )
