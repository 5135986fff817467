"""Cells of a head-by-head or layer-by-head grid.

Cells stand on linear axes, one unit to a cell, rounded to whole pixels: large grids show no seams,
and an area of any number of cells is one mark.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.scales import PERCENT, PLAIN, chosen_by, diverging
from analysis.charts.themes import Palette

#: Axes of up to this many heads name each of them, longer ones only the layers.
MOST_HEADS_NAMED = 40
#: Heads whose names fit side by side where a longer axis is zoomed in.
MOST_HEADS_NAMED_ACROSS = 10
#: Pixels that the name of a layer takes beside its neighbours.
LAYER_NAME_WIDTH = 26
#: Pixels that one character of a cell's number takes; a cell that is too narrow has none.
DIGIT_WIDTH = 7
#: Share of the scale below which a cell's number is left to its tooltip.
LEAST_NUMBERED = 0.05
#: Bounds of the height of a row in pixels.
LEAST_ROW, MOST_ROW = 13, 30

Title = str | list[str]


def layer_by_head(
    rows: pd.DataFrame,
    fields: tuple[str, str, str],
    shape: tuple[int, int],
    end: float,
    titles: tuple[str, Title, str],
    palette: Palette,
    shares: bool = False,
    names: tuple[Sequence[str] | None, Sequence[str] | None] = (None, None),
) -> list[alt.Chart]:
    """A cell for each row, at its layer (down) and head (across), coloured by its value up to `end`.

    `fields` names the columns of layer, head and value, `titles` says what they are. The cells come
    first; the numbers of the strong ones follow, drawn where there is room; in percent, if they are `shares`.
    Rows with a `kind` are drawn paler where it is "estimated", by whoever encodes that.
    `names` are those of the cells down and across, where they are not simply counted from 0.
    """
    layer, head, value = fields
    n_layers, n_heads = shape
    base = alt.Chart(rows)
    cells = (
        base.mark_rect(stroke=palette.background, strokeWidth=1)
        .transform_calculate(x2=f"datum.{head} + 1", y2=f"datum.{layer} + 1")
        .encode(
            x=alt.X(f"{head}:Q", title=titles[1], **_place(0, n_heads, names=names[1])),
            x2=alt.X2("x2:Q"),
            y=alt.Y(f"{layer}:Q", title=titles[0], **_place(0, n_layers, reverse=True, names=names[0])),
            y2=alt.Y2("y2:Q"),
            color=diverging(value, titles[2], end, palette, PERCENT if shares else PLAIN),
        )
    )
    size = f"abs(datum.{value}) / {end!r}"
    strong = f"{size} > (datum.{value} < 0 ? {palette.strong[0]} : {palette.strong[1]})"
    if "kind" in rows:  # what is estimated is drawn paler
        strong = f"datum.kind != 'estimated' && {strong}"
    written = two_digits(100 * end)[:-1] + "%" if shares else two_digits(end)
    narrowest = DIGIT_WIDTH * len(format(end, written))
    numbers = (
        base.mark_text(fontSize=11, tooltip=None)
        .transform_filter(f"{size} >= {LEAST_NUMBERED} && width / {n_heads} >= {narrowest}")
        .transform_calculate(x=f"datum.{head} + 0.5", y=f"datum.{layer} + 0.5")
        .encode(
            x=alt.X("x:Q"),
            y=alt.Y("y:Q"),
            text=alt.Text(f"{value}:Q", format=written),
            color=chosen_by([(strong, palette.on_strong)], palette.on_weak),
        )
    )
    return [cells, numbers]


def row_height(n_rows: int, height: int) -> int:
    """The height of each of `n_rows` that should stand in `height` pixels together.

    >>> row_height(4, 560), row_height(31, 560), row_height(96, 560)
    (30, 18, 13)
    """
    return int(np.clip(height // n_rows, LEAST_ROW, MOST_ROW))


def framed(rows: pd.DataFrame, fields: tuple[str, str], palette: Palette) -> alt.Chart:
    """A frame around the cell of each row, whose place the columns `fields` hold, down and across."""
    layer, head = fields
    return (
        alt.Chart(rows)
        .mark_rect(filled=False, stroke=palette.text, strokeWidth=2.5, tooltip=None)
        .transform_calculate(x2=f"datum.{head} + 1", y2=f"datum.{layer} + 1")
        .encode(x=alt.X(f"{head}:Q"), x2=alt.X2("x2:Q"), y=alt.Y(f"{layer}:Q"), y2=alt.Y2("y2:Q"))
    )


def across(field: str, title: Title, first: int, stop: int, n_heads: int) -> alt.X:
    """Horizontal place of a head among those from `first` to `stop`, counted through all layers."""
    return alt.X(f"{field}:Q", title=title, **_place(first, stop, n_heads))


def down(field: str, title: Title, first: int, stop: int, n_heads: int) -> alt.Y:
    """Vertical place of a head, the first at the top."""
    return alt.Y(f"{field}:Q", title=title, **_place(first, stop, n_heads, reverse=True))


def two_digits(end: float) -> str:
    """A format that gives numbers of up to `end` two significant digits and no needless ones.

    >>> two_digits(3.9), two_digits(0.026)
    ('+.1f', '+.3f')
    """
    decimals = int(np.clip(1 - math.floor(math.log10(end)), 0, 4))
    return f"+.{decimals}f"


def _place(
    first: int,
    stop: int,
    n_heads: int | None = None,
    reverse: bool = False,
    names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Scale and axis of the cells from `first` to `stop`, each named in its middle, by `names` if given.

    Where heads are counted through all layers, a long axis names the layers, and the heads once it
    is zoomed in far enough.
    """
    cell = "floor(datum.value)" if names is None else f"{json.dumps(names)}[floor(datum.value)]"
    middles = [edge + 0.5 for edge in range(first, stop)]
    by_layer = n_heads is not None and stop - first > MOST_HEADS_NAMED
    if n_heads is not None:
        layer = f"'L' + floor(datum.value / {n_heads})"
        cell = f"{layer} + 'H' + floor(datum.value) % {n_heads}"
        if by_layer:
            middles = sorted({*middles, *(edge + n_heads / 2 for edge in range(first, stop, n_heads))})
            near = f"span(domain('y')) <= {MOST_HEADS_NAMED}"
            if not reverse:
                near = f"span(domain('x')) <= {MOST_HEADS_NAMED_ACROSS}"
            head, of_layer = "datum.value % 1 == 0.5", f"datum.value % {n_heads} == {n_heads / 2}"
            if not reverse:
                # Every layer if there is room for its name, or else every second, third and so on.
                layers_shown = f"span(domain('x')) / {n_heads}"
                every = f"ceil({LAYER_NAME_WIDTH} * {layers_shown} / width)"
                of_layer += f" && floor(datum.value / {n_heads}) % {every} == 0"
            cell = f"{near} ? ({head} ? {cell} : '') : ({of_layer} ? {layer} : '')"
    vertical_names = n_heads is not None and not by_layer and not reverse
    scale = alt.Scale(domain=[first, stop], nice=False, zero=False, round=True)
    if reverse:
        scale.reverse = True
    axis = alt.Axis(
        values=middles,
        # Vega thins even given values to its own default count.
        tickCount=len(middles),
        labelExpr=cell,
        # Thinning counts the labels that are empty at this zoom, too.
        labelOverlap=not reverse and not by_layer,
        labelAngle=-90 if vertical_names else 0,
        grid=False,
    )
    return {"scale": scale, "axis": axis}
