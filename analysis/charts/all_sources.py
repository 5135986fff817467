"""Direct paths from every source head to every later head, also while they are measured."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.effects import (
    effect_rows,
    end_of,
    kind_opacity,
    note_of,
    summary,
    title_of,
    with_tooltip,
    without_paths,
)
from analysis.charts.grid import across, down
from analysis.charts.once import drawn_once
from analysis.charts.scales import PERCENT, PLAIN, diverging, round_number_above
from analysis.charts.themes import PALETTES, Palette, Theme, drawn
from analysis.requests import HEAD_INPUTS
from analysis.results import AllSourcesResult, EffectScale, PathMap

#: Cells that a browser still draws and hovers with ease; of more, the strongest are shown.
MOST_CELLS = 21_000
#: Share of a cell that an estimate leaves free on each side.
INSET = 0.2


@drawn_once
def all_sources_chart(
    result: AllSourcesResult | PathMap,
    scale: EffectScale = "effect",
    theme: Theme = "light",
    most: int = MOST_CELLS,
    largest: float | None = None,
) -> alt.LayerChart:
    """Source head (down) by destination head (across), coloured by the effect of the path.

    The last layer, which is nobody's source, and the first, which is nobody's destination, are
    left out. Estimated cells are smaller and paler than measured ones. Of more than `most` cells
    the strongest are drawn. The colours reach as far as is drawn, or, on one scale for several maps, to
    `largest` (in the metric's unit), and by quarters of it farther where something drawn is larger.

    Selection parameter `edge` with the fields sl, sh, dl and dh; parameter `zoom` moves and zooms in the
    browser alone.
    """
    palette = PALETTES[theme]
    n_layers, n_heads = result.effect.shape[:2]
    rows = effect_rows(result, result.effect, scale, ["sl", "sh", "dl", "dh"])
    paths, note = len(rows), note_of(result, rows, scale, largest)
    if paths > most:
        rows = rows.iloc[np.argsort(-rows["value"].abs().to_numpy(), kind="stable")[:most]]
        note = [f"the {most:,} strongest of {paths:,} paths;", "weaker ones are left blank"]
    cells = _edge_cells(_with_kind(rows, result), (n_layers, n_heads), ["destination head", *note])
    cells = with_tooltip(cells, result, scale, "'L' + datum.sl + 'H' + datum.sh")
    if isinstance(result, PathMap):
        cells = cells.encode(tooltip=[*cells.encoding.tooltip, alt.Tooltip("component:N")])
    end = end_of(result, rows, scale, largest)
    description = f"Every direct path. {summary(result, rows, scale)}"
    if not result.complete:
        cells = cells.encode(opacity=kind_opacity(palette, "estimated (smaller)"))
        # What changes with every drawing would make the browser begin anew and lose its zoom.
        description = "Every direct path, while they are measured."
        end = end if largest is not None else round_number_above(end)
    form = PERCENT if scale == "recovery" else PLAIN
    colour = diverging("value", title_of(result, scale), end, palette, form)
    cells = cells.encode(color=colour).add_params(
        # With Shift the pointer moves the map, and letting go of it is a click, too.
        alt.selection_point(name="edge", fields=["sl", "sh", "dl", "dh"], on="click[!event.shiftKey]"),
        alt.selection_interval(
            name="zoom",
            bind="scales",
            # The bare wheel scrolls the page; a touchpad's pinch comes as a wheel with Ctrl.
            zoom="wheel![event.ctrlKey]",
            translate="[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!",
        ),
    )
    triangle = without_paths(_triangle(n_layers, n_heads), palette)
    layers = [cells, triangle, *_borders(n_layers, n_heads, palette)]
    return drawn(layers, theme, 600, description)


def _edge_cells(rows: pd.DataFrame, shape: tuple[int, int], title: list[str]) -> alt.Chart:
    """Each edge at its place, estimated ones (where any are) set in from the edges of their cell."""
    n_layers, n_heads = shape
    first, stop = (min(1, n_layers - 1) * n_heads, max(1, n_layers - 1) * n_heads)
    inset = f"(datum.kind == 'estimated' ? {INSET} : 0)" if "kind" in rows else "0"
    return (
        alt.Chart(rows)
        .mark_rect(cursor="pointer", clip=True)
        .transform_calculate(
            x=f"datum.dl * {n_heads} + datum.dh + {inset}",
            x2=f"datum.dl * {n_heads} + datum.dh + 1 - {inset}",
            y=f"datum.sl * {n_heads} + datum.sh + {inset}",
            y2=f"datum.sl * {n_heads} + datum.sh + 1 - {inset}",
        )
        .encode(
            x=across("x", title, first, n_layers * n_heads, n_heads),
            x2=alt.X2("x2:Q"),
            y=down("y", "source head", 0, stop, n_heads),
            y2=alt.Y2("y2:Q"),
        )
    )


def _triangle(n_layers: int, n_heads: int) -> list[dict[str, int]]:
    """One area for each destination layer that not every drawn source comes before."""
    stop = max(1, n_layers - 1)
    return [
        {"x": layer * n_heads, "x2": (layer + 1) * n_heads, "y": layer * n_heads, "y2": stop * n_heads}
        for layer in range(min(1, n_layers - 1), stop)
    ]


def _borders(n_layers: int, n_heads: int, palette: Palette) -> list[alt.Chart]:
    """Lines between the layers of the destinations and of the sources."""
    columns, lines = (
        alt.Chart(pd.DataFrame({"at": [layer * n_heads for layer in layers]})).mark_rule(
            color=palette.line, strokeWidth=0.6, tooltip=None, clip=True
        )
        for layers in (range(2, n_layers), range(1, n_layers - 1))
    )
    return [columns.encode(x=alt.X("at:Q")), lines.encode(y=alt.Y("at:Q"))]


def _with_kind(rows: pd.DataFrame, result: AllSourcesResult | PathMap) -> pd.DataFrame:
    at = tuple(rows[["sl", "sh", "dl", "dh"]].to_numpy().T)
    if isinstance(result, PathMap):
        rows = rows.assign(component=np.array(HEAD_INPUTS)[result.component[at]])
    if result.complete:
        return rows
    return rows.assign(kind=np.where(result.measured[at], "measured", "estimated"))
