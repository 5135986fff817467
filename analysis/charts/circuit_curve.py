"""How much of the behaviour the strongest edges carry together, over how many they are."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.charts.once import drawn_once
from analysis.charts.scales import rounded
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.results import EdgeSetsResult, GraphResult

#: The two scores that the curve shows, by how they are called on it.
BRINGS_BACK, FAITHFUL = "brings back", "faithful"
#: The part of the scale that is always shown; scores beyond it are drawn at its ends.
_LEAST, _MOST = -0.25, 1.25


@drawn_once
def circuit_curve_chart(
    result: GraphResult, own: EdgeSetsResult | None, n_edges: int, theme: Theme = "light"
) -> alt.LayerChart:
    """Lines for the strongest edges of `result`, and a point for the `n_edges` that are drawn.

    `own` holds the scores of these; they lie beside the lines where other edges than the strongest are drawn.
    """
    palette = PALETTES[theme]
    lines = _rows(result.curve_edges.tolist(), result.curve_brings_back, result.curve_faithfulness)
    points = lines.iloc[:0]
    if own is not None and n_edges:
        points = _rows([n_edges], own.brings_back, own.faithfulness)
    x = alt.X(
        "edges:Q",
        title=f"paths, of {len(result.graph):,}",
        scale=alt.Scale(type="log", domain=[1, max(2, len(result.graph))]),
        axis=alt.Axis(format="~s", grid=False, values=_powers(len(result.graph))),
    )
    y = alt.Y(
        "share:Q",
        title=None,
        scale=alt.Scale(domain=[_LEAST, _MOST], clamp=True, nice=False),
        axis=alt.Axis(format="~%", values=[0, 0.5, 1]),
    )
    colour = alt.Color(
        "score:N",
        scale=alt.Scale(domain=[BRINGS_BACK, FAITHFUL], range=[palette.corrupted, palette.clean]),
        legend=alt.Legend(title=None, orient="top", symbolType="circle", labelLimit=200),
    )
    tooltip = [
        alt.Tooltip("edges:Q", title="paths", format=","),
        alt.Tooltip("score:N"),
        alt.Tooltip("share:Q", format="+.1%"),
    ]
    dash = alt.StrokeDash(
        "score:N", scale=alt.Scale(domain=[BRINGS_BACK, FAITHFUL], range=[[5, 3], [1, 0]]), legend=None
    )
    line = alt.Chart(lines).mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, strokeDash=dash)
    dots = alt.Chart(lines).mark_circle(size=36).encode(x=x, y=y, color=colour, tooltip=tooltip)
    here = (
        alt.Chart(points)
        .mark_point(size=160, filled=True, stroke=palette.text, strokeWidth=1.5, opacity=1)
        .encode(x=x, y=y, color=colour, tooltip=tooltip)
    )
    return drawn([line, dots, here], theme, 190, _description(result, own, n_edges))


def _rows(edges: list[int], brings_back: object, faithfulness: object) -> pd.DataFrame:
    scores = {BRINGS_BACK: brings_back, FAITHFUL: faithfulness}
    return pd.DataFrame(
        [
            {"edges": count, "score": name, "share": share}
            for name, shares in scores.items()
            for count, share in zip(edges, rounded(shares), strict=True)  # type: ignore[arg-type]
        ],
        columns=["edges", "score", "share"],
    )


def _powers(total: int) -> list[int]:
    return [10**power for power in range(len(str(total)))]


def _description(result: GraphResult, own: EdgeSetsResult | None, n_edges: int) -> str:
    told = "Scores of the strongest paths over their number."
    if own is None:
        return told
    return (
        f"{told} The {n_edges:,} that are drawn bring back {own.brings_back[0]:.0%} and are "
        f"{own.faithfulness[0]:.0%} faithful."
    )
