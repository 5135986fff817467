"""Two results against each other: both maps and their difference on one scale, and item by item."""

from __future__ import annotations

from typing import Literal

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.maps import Maps, maps_chart
from analysis.charts.scales import BELOW_RESOLUTION, by_sign, reach, rounded
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.compare import Comparison
from analysis.labels import counted
from analysis.labels import number as signed

#: What the three maps are called: each in one word, which a narrow map has room for.
SIDES = ("A", "B", "B\N{MINUS SIGN}A")
#: Differences that are named beside their points, and points that are drawn: the largest values.
NAMED, MOST_POINTS = 5, 2_000
_HEIGHT = 380
#: Of the largest difference, the share that another has to have to be named.
_LEAST_NAMED = 0.1
#: Shares of the scale that a name takes.
_NAME_HEIGHT, _NAME_WIDTH = 0.05, 0.2
#: Side of a point on which a name stands -> which end of the name is there, and pixels between them.
_Side = Literal["left", "right"]
_BESIDE: dict[_Side, tuple[_Side, int]] = {"right": ("left", 8), "left": ("right", -8)}


def comparison_maps_chart(
    comparison: Comparison, down: str, across: str, theme: Theme = "light"
) -> alt.LayerChart:
    """A, B and B minus A side by side on one colour scale; `down` and `across` say what their axes are.

    Selection parameter `cell` with the field item. Only for items that make a map.
    """
    assert comparison.places is not None
    cells = [[""] * len(comparison.columns) for _ in comparison.rows]
    for label, (row, column) in zip(comparison.labels, comparison.places.tolist(), strict=True):
        cells[row][column] = label
    maps = Maps(
        titles=SIDES,
        values=comparison.maps(),
        rows=comparison.rows,
        columns=comparison.columns,
        down=down,
        across=across,
        cells=cells,
        measure=comparison.unit,
        resolution=comparison.resolution or None,
    )
    return maps_chart(maps, len(SIDES), _description(comparison), theme)


def comparison_scatter_chart(comparison: Comparison, theme: Theme = "light") -> alt.LayerChart:
    """A point for each item, A across and B up, with the line on which both are the same.

    The largest differences are named. Selection parameter `point` with the field item.
    """
    palette = PALETTES[theme]
    rows = _rows(comparison)
    end = 1.08 * reach(rows[["a", "b"]].to_numpy())
    ends = alt.Scale(domain=[-end, end], nice=False)
    x = alt.X("a:Q", title=f"A ({comparison.unit})", scale=ends)
    y = alt.Y("b:Q", title=f"B ({comparison.unit})", scale=ends)
    points = (
        alt.Chart(rows)
        .mark_circle(size=55, opacity=0.75)
        .encode(
            x=x,
            y=y,
            color=by_sign("difference", palette),
            tooltip=[
                alt.Tooltip("item:N"),
                alt.Tooltip("a:Q", title="A", format="+.4f"),
                alt.Tooltip("b:Q", title="B", format="+.4f"),
                alt.Tooltip("told:N", title=SIDES[2]),
            ],
        )
        .add_params(alt.selection_point(name="point", fields=["item"]))
    )
    same = (
        alt.Chart(pd.DataFrame({"a": [-end, end], "b": [-end, end]}))
        .mark_line(color=palette.muted, strokeDash=[4, 4], strokeWidth=1, tooltip=None)
        .encode(x=x, y=y)
    )
    names = [
        alt.Chart(rows[rows["name"] == side])
        .mark_text(align=align, dx=away, tooltip=None)
        .encode(x=x, y=y, text=alt.Text("item:N"))
        for side, (align, away) in _BESIDE.items()
    ]
    return drawn([same, points, *names], theme, _HEIGHT, _description(comparison))


def _rows(comparison: Comparison) -> pd.DataFrame:
    """The items that are drawn: where there are too many, those with the largest values."""
    size = np.maximum(np.abs(comparison.a), np.abs(comparison.b))
    chosen = np.argsort(-size, kind="stable")[:MOST_POINTS]
    difference = np.where(comparison.below_resolution, 0.0, comparison.difference)[chosen]
    named = {index: _side(comparison, index) for index in _named(comparison)}
    return pd.DataFrame(
        {
            "item": [comparison.labels[index] for index in chosen],
            "a": rounded(comparison.a[chosen]),
            "b": rounded(comparison.b[chosen]),
            "difference": rounded(difference),
            "told": [signed(value, "+.4f") if value else BELOW_RESOLUTION for value in difference.tolist()],
            "name": [
                named.get(index, "") if value else "" for index, value in zip(chosen, difference, strict=True)
            ],
        }
    )


def _named(comparison: Comparison) -> list[int]:
    """The largest differences whose names have room: none beside another."""
    reached = reach(np.stack([comparison.a, comparison.b])) * 2
    found: list[int] = []
    size = np.abs(comparison.difference)
    large = size >= _LEAST_NAMED * size.max(initial=0.0)
    for index in comparison.order[large[comparison.order]].tolist():
        beside = [
            abs(comparison.b[index] - comparison.b[other]) < _NAME_HEIGHT * reached
            and abs(comparison.a[index] - comparison.a[other]) < 2 * _NAME_WIDTH * reached
            for other in found
        ]
        if len(found) < NAMED and not any(beside):
            found.append(index)
    return found


def _side(comparison: Comparison, index: int) -> _Side:
    """Where the name of an item stands: to the "right" of its point, or "left" where it would cover more."""
    reached = reach(np.stack([comparison.a, comparison.b])) * 2
    level = np.abs(comparison.b - comparison.b[index]) < _NAME_HEIGHT * reached
    ahead = (comparison.a - comparison.a[index]) / reached
    covered = [int((level & (way * ahead > 0) & (way * ahead < _NAME_WIDTH)).sum()) for way in (1, -1)]
    beyond = comparison.a[index] / reached + _NAME_WIDTH > 0.5
    return "left" if beyond or covered[0] > covered[1] else "right"


def _description(comparison: Comparison) -> str:
    if not comparison.labels:
        return "There is nothing to compare."
    first = comparison.order[0]
    return (
        f"{counted(len(comparison.labels), 'item')} in A and B. Largest difference: "
        f"{comparison.labels[first]} with {signed(comparison.a[first], '+.3g')} in A and "
        f"{signed(comparison.b[first], '+.3g')} in B."
    )
