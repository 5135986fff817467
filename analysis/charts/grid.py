"""Cells of a head-by-head or layer-by-head grid.

Cells stand on linear axes, one unit to a cell, rounded to whole pixels: large grids show no seams,
and an area of any number of cells is one mark.
"""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from analysis.charts.themes import Palette


def cell_axis(size: int, per_layer: int = 1) -> dict[str, Any]:
    """Scale and axis of `size` cells, labelled in the middle of each `per_layer` of them."""
    label = "floor(datum.value)" if per_layer == 1 else f"'L' + floor(datum.value / {per_layer})"
    return {
        "scale": alt.Scale(domain=[0, size], nice=False, zero=False, round=True),
        "axis": alt.Axis(
            values=[middle + per_layer / 2 for middle in range(0, size, per_layer)],
            labelExpr=label,
            labelOverlap=True,
            grid=False,
        ),
    }


def across(field: str, title: str | list[str], size: int, per_layer: int = 1) -> alt.X:
    """Horizontal place of a cell, from left to right."""
    return alt.X(f"{field}:Q", title=title, **cell_axis(size, per_layer))


def down(field: str, title: str | list[str], size: int, per_layer: int = 1) -> alt.Y:
    """Vertical place of a cell, the first at the top."""
    place = cell_axis(size, per_layer)
    place["scale"]["reverse"] = True
    return alt.Y(f"{field}:Q", title=title, **place)


def head_cells(
    rows: pd.DataFrame,
    fields: tuple[str, str],
    shape: tuple[int, int],
    titles: tuple[str | list[str], str | list[str]],
    palette: Palette,
) -> alt.Chart:
    """One mark for each row, at its layer (down) and head (across), named by `fields`."""
    layer, head = fields
    return (
        alt.Chart(rows)
        .mark_rect(stroke=palette.background, strokeWidth=1)
        .transform_calculate(x2=f"datum.{head} + 1", y2=f"datum.{layer} + 1")
        .encode(
            x=across(head, titles[1], shape[1]),
            x2="x2:Q",
            y=down(layer, titles[0], shape[0]),
            y2="y2:Q",
        )
    )
