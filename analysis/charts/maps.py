"""Several maps of the same rows and columns, side by side and below one another, on one colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis.charts.grid import layer_by_head
from analysis.charts.scales import number, reach, rounded
from analysis.charts.themes import PALETTES, Theme, drawn

#: Rows of a cell's height between maps that stand below one another: room for their titles.
_GAP = 2
#: Pixels that a title of two short words takes.
_TITLE_WIDTH = 70
#: Pixels that a row is high.
_LEAST_ROW, _MOST_ROW, _HEIGHT = 12, 30, 560


@dataclass(frozen=True, eq=False)
class Maps:
    """What is drawn: `values[i]` is the map called `titles[i]`, NaN where it has no cell.

    `rows` and `columns` name what stands down and across, `down` and `across` what they are. `cells[r][c]` is
    the name of a cell, `measure` what is measured of it, with its unit. Values of exactly zero are told as
    below `resolution`, where there is one.
    """

    titles: Sequence[str]
    values: Float[np.ndarray, "map row column"]
    rows: Sequence[str]
    columns: Sequence[str]
    down: str
    across: str
    cells: Sequence[Sequence[str]]
    measure: str
    resolution: float | None = None


def maps_chart(maps: Maps, per_row: int, description: str, theme: Theme = "light") -> alt.LayerChart:
    """`maps`, up to `per_row` of them side by side; selection parameter `cell` with the field item.

    Where maps are narrow, the last word of their titles stands for the whole of them.
    """
    palette = PALETTES[theme]
    n_maps = len(maps.values)
    per_row = min(per_row, n_maps)
    floors = -(-n_maps // per_row)
    down = [*maps.rows, *[""] * _GAP] * floors
    across = [*maps.columns, ""] * per_row
    rows = _rows(maps, per_row)
    shape = (len(down) - _GAP, len(across) - 1)
    cells, *numbers = layer_by_head(
        rows,
        ("down", "across", "value"),
        shape,
        reach(rows["value"].to_numpy(), maps.resolution),
        (maps.down, maps.across, maps.measure),
        palette,
        names=(down[: shape[0]], across[: shape[1]]),
    )
    cells = (
        cells.transform_calculate(told=number("datum.value", maps.resolution))
        .encode(
            tooltip=[
                alt.Tooltip("map:N"),
                alt.Tooltip("item:N"),
                alt.Tooltip("told:N", title=maps.measure),
            ]
        )
        .add_params(alt.selection_point(name="cell", fields=["item"]))
    )
    row = int(np.clip(_HEIGHT // shape[0], _LEAST_ROW, _MOST_ROW))
    narrow = f"width / {per_row} < {_TITLE_WIDTH}"
    titles = _titles(maps, per_row).transform_calculate(
        shown=f"{narrow} ? peek(split(datum.title, ' ')) : datum.title"
    )
    titles = titles.mark_text(baseline="bottom", dy=-4, fontWeight=600, tooltip=None, color=palette.text)
    return drawn([cells, titles, *numbers], theme, row * shape[0], description)


def _rows(maps: Maps, per_row: int) -> pd.DataFrame:
    """A row for each cell of each map."""
    _, n_rows, n_columns = maps.values.shape
    which, row, column = np.argwhere(np.isfinite(maps.values)).T
    return pd.DataFrame(
        {
            "map": [maps.titles[index] for index in which],
            "item": [maps.cells[at][along] for at, along in zip(row, column, strict=True)],
            "down": (which // per_row) * (n_rows + _GAP) + row,
            "across": (which % per_row) * (n_columns + 1) + column,
            "value": rounded(maps.values[which, row, column]),
        }
    )


def _titles(maps: Maps, per_row: int) -> alt.Chart:
    """The title of each map over its middle."""
    n_maps, n_rows, n_columns = maps.values.shape
    which = np.arange(n_maps)
    places = pd.DataFrame(
        {
            "title": list(maps.titles),
            "over": (which // per_row) * (n_rows + _GAP),
            "middle": (which % per_row) * (n_columns + 1) + n_columns / 2,
        }
    )
    return alt.Chart(places).encode(x=alt.X("middle:Q"), y=alt.Y("over:Q"), text=alt.Text("shown:N"))
