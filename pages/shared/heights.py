"""How high things will be, told before they are drawn: else what stands below moves when they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

if TYPE_CHECKING:
    import altair as alt

#: Pixels of a row and of the frame at the base font size of `.streamlit/config.toml`, and the most that
#: Streamlit gives a grid.
_ROW, _FRAME, _MOST = 33, 2, 400
#: Pixels of a table's row of two lines, and of one.
_TABLE_ROW, _FLAT_ROW = 42, 28
#: Pixels below a chart's plot for its axis, and above it for a scale of colours.
_AXIS, _SCALE = 60, 85
#: Places are kept in these steps: a rule of `first_page` for each.
STEP, HIGHEST = 10, 990


def grid_height(n_rows: int) -> int:
    """Height in pixels of a grid with a heading and `n_rows` rows, as Streamlit draws it.

    >>> grid_height(3), grid_height(100)
    (134, 400)
    """
    return min(_MOST, _ROW * (n_rows + 1) + _FRAME)


def table_height(n_rows: int) -> int:
    """The least height in pixels of a whole table with a heading and `n_rows` rows of two lines."""
    return _TABLE_ROW * (n_rows + 1)


def flat_table_height(n_rows: int) -> int:
    """The least height in pixels of a whole table with a heading and `n_rows` rows of one line."""
    return _FLAT_ROW * (n_rows + 1)


def chart_height(chart: alt.Chart | alt.LayerChart) -> int:
    """About how many pixels high a chart is, by the plot and what stands around it."""
    scaled = any(
        getattr(getattr(layer.encoding.color, "legend", None), "orient", None) == "top"
        for layer in chart.layer
    )
    return height_around(int(chart.height), scaled)


def height_around(plot: int, scaled: bool = True) -> int:
    """About how many pixels high a chart is around a plot of `plot` pixels, with or without a scale above."""
    return plot + _AXIS + (_SCALE if scaled else 0)


def kept_place(name: str, height: int) -> DeltaGenerator:
    """A container that is at least about `height` pixels high from the first; `name` is its own on the page.

    A chart's code comes after the page, and what is drawn then grows from nothing.
    """
    steps = min(HIGHEST, height) // STEP * STEP
    return st.container(key=f"{name}_{place_of(steps)}")


def place_of(height: int) -> str:
    """The end of the key of a place that is kept, by which `first_page` knows it."""
    return f"high{height:03d}"


def draw_chart(name: str, chart: alt.Chart | alt.LayerChart, **options: Any) -> Any:
    """Draw `chart` as wide as its place, which is kept for it from the first."""
    with kept_place(name, chart_height(chart)):
        return st.altair_chart(chart, width="stretch", **options)
