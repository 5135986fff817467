"""The map of all sources folded: layer by layer, and one block of it, head by head."""

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
from analysis.charts.grid import framed, layer_by_head, row_height
from analysis.charts.once import drawn_once
from analysis.charts.themes import PALETTES, Palette, Theme, drawn
from analysis.requests import HEAD_INPUTS
from analysis.results import AllSourcesResult, EffectScale, PathMap

#: Height of the rows in pixels, all together.
_HEIGHT = 600
_FIELDS = ["sl", "sh", "dl", "dh"]


@drawn_once
def layer_map_chart(
    result: AllSourcesResult | PathMap,
    scale: EffectScale = "effect",
    theme: Theme = "light",
    largest: float | None = None,
    selected: tuple[int, int] | None = None,
) -> alt.LayerChart:
    """Source layer by destination layer, each cell the strongest of all paths between their heads.

    `largest` as of `all_sources_chart`; the block that is `selected` is framed. Selection parameter `block`
    with the fields sl and dl.
    """
    palette, rows = PALETTES[theme], _every_row(result, scale)
    n_layers = result.effect.shape[0]
    strongest = rows.iloc[np.argsort(-rows["value"].abs().to_numpy(), kind="stable")]
    strongest = strongest.drop_duplicates(["sl", "dl"]).sort_values(["sl", "dl"])
    strongest = strongest.assign(down=strongest["sl"], across=strongest["dl"] - 1)
    size = max(1, n_layers - 1)
    layers = [[str(layer) for layer in range(first, first + size)] for first in (0, 1)]
    notes = ["destination layer", *note_of(result, rows, scale, largest)]
    cells, *numbers = layer_by_head(
        strongest,
        ("down", "across", "value"),
        (size, size),
        end_of(result, rows, scale, largest),
        ("source layer", notes, title_of(result, scale)),
        palette,
        scale == "recovery",
        (layers[0], layers[1]),
    )
    cells = _told(cells, result, scale, palette).add_params(
        alt.selection_point(name="block", fields=["sl", "dl"])
    )
    below = [{"x": 0, "x2": layer, "y": layer, "y2": layer + 1} for layer in range(1, size)]
    frame = framed(_at(strongest, ("sl", "dl"), selected), ("down", "across"), palette)
    description = _description(
        "The strongest path from each layer to each later one", result, strongest, scale
    )
    marks = [cells, without_paths(below, palette), *numbers, frame]
    return drawn(marks, theme, size * row_height(size, _HEIGHT), description)


@drawn_once
def block_chart(
    result: AllSourcesResult | PathMap,
    block: tuple[int, int],
    scale: EffectScale = "effect",
    theme: Theme = "light",
    largest: float | None = None,
    selected: tuple[int, int] | None = None,
) -> alt.LayerChart:
    """The paths from the heads of one layer (down) to those of another (across): `block`, by their numbers.

    `largest` as of `all_sources_chart`; the path between the heads that are `selected` is framed. Selection
    parameter `edge` with the fields sl, sh, dl and dh.
    """
    palette, every, n_heads = PALETTES[theme], _every_row(result, scale), result.effect.shape[1]
    rows = every[(every["sl"] == block[0]) & (every["dl"] == block[1])]
    source, destination = (f"L{layer}" for layer in block)
    cells, *numbers = layer_by_head(
        rows,
        ("sh", "dh", "value"),
        (n_heads, n_heads),
        end_of(result, every, scale, largest),
        (
            f"source head in {source}",
            [f"destination head in {destination}", *note_of(result, every, scale, largest)],
            title_of(result, scale),
        ),
        palette,
        scale == "recovery",
    )
    cells = _told(cells, result, scale, palette).add_params(alt.selection_point(name="edge", fields=_FIELDS))
    frame = framed(_at(rows, ("sh", "dh"), selected), ("sh", "dh"), palette)
    description = _description(f"The paths from {source} to {destination}", result, rows, scale)
    height = n_heads * row_height(n_heads, _HEIGHT)
    return drawn([cells, *numbers, frame], theme, height, description)


def _every_row(result: AllSourcesResult | PathMap, scale: EffectScale) -> pd.DataFrame:
    """A row for each path, with how its effect is known and, of a map, the input that it leads into."""
    rows = effect_rows(result, result.effect, scale, _FIELDS)
    at = tuple(rows[_FIELDS].to_numpy().T)
    rows = rows.assign(kind=np.where(result.measured[at], "measured", "estimated"))
    if isinstance(result, PathMap):
        rows = rows.assign(component=np.array(HEAD_INPUTS)[result.component[at]])
    return rows


def _told(
    cells: alt.Chart, result: AllSourcesResult | PathMap, scale: EffectScale, palette: Palette
) -> alt.Chart:
    """`cells` with tooltips; where some are estimated, those paler."""
    cells = with_tooltip(cells, result, scale, "'L' + datum.sl + 'H' + datum.sh")
    if isinstance(result, PathMap):
        cells = cells.encode(tooltip=[*cells.encoding.tooltip, alt.Tooltip("component:N")])
    if result.complete:
        return cells
    return cells.encode(opacity=kind_opacity(palette, "estimated (paler)"))


def _at(rows: pd.DataFrame, fields: tuple[str, str], place: tuple[int, int] | None) -> pd.DataFrame:
    """The rows of one place."""
    if place is None:
        return rows.iloc[:0]
    return rows[(rows[fields[0]] == place[0]) & (rows[fields[1]] == place[1])]


def _description(
    what: str, result: AllSourcesResult | PathMap, rows: pd.DataFrame, scale: EffectScale
) -> str:
    """What is drawn; of a sweep that runs, nothing that changes: the browser would begin anew each time."""
    running = isinstance(result, AllSourcesResult) and not result.complete
    return f"{what}, while they are measured." if running else f"{what}. {summary(result, rows, scale)}"
