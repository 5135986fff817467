"""Parts of an attribution as bars, blue below zero and orange above, each with its number at its end."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.charts.scales import by_sign, number
from analysis.charts.themes import Palette

TITLE = "direct attribution (logits)"

#: Pixels for the number at the end of a bar.
_NUMBER_WIDTH = 40

#: Layers of a chart, and the height of its plot in pixels.
Drawing = tuple[list[alt.Chart], int]


def attribution_bars(
    rows: pd.DataFrame, part: str, palette: Palette, resolution: float | None, *told: str
) -> Drawing:
    """A bar for each row, in their order: its length is the column `attribution`, its name the column `part`.

    A tooltip tells both, and the columns `told`.
    """
    ends = [min(0.0, rows["attribution"].min()), max(0.0, rows["attribution"].max())]
    # In pixels: a share of the axis would be too little for a number on a narrow screen.
    room = alt.Scale(domain=ends, padding=_NUMBER_WIDTH, nice=False)
    base = with_tooltip(alt.Chart(rows), resolution, part, more=told).encode(
        y=alt.Y(f"{part}:N", sort=None, title=None),
        x=alt.X("attribution:Q", title=TITLE, scale=room, axis=alt.Axis(tickCount=8)),
    )
    bars = base.mark_bar().encode(color=by_sign("attribution", palette))
    numbers = (
        base.transform_filter(alt.datum.attribution != 0)
        .mark_text(
            align=alt.expr("datum.attribution < 0 ? 'right' : 'left'"),
            dx=alt.expr("datum.attribution < 0 ? -5 : 5"),
            fontSize=11,
        )
        .encode(text=alt.Text("attribution:Q", format="+.2f"))
    )
    return [bars, zero(palette).encode(x=alt.X("zero:Q")), numbers], max(160, 22 * len(rows))


def with_tooltip(
    chart: alt.Chart, resolution: float | None, *fields: str, more: tuple[str, ...] = ()
) -> alt.Chart:
    """`chart` with a tooltip of `fields`, the attribution, and `more` fields."""
    logits = number("datum.attribution", resolution)
    tooltip = [alt.Tooltip(f"{field}:N") for field in (*fields, "logits", *more)]
    return chart.transform_calculate(logits=logits).encode(tooltip=tooltip)


def zero(palette: Palette) -> alt.Chart:
    """The line at zero, to be put on an axis as ``zero:Q``."""
    return alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=palette.muted, tooltip=None)
