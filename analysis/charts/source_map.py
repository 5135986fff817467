"""Every head that can be a source, layer by head, by the strongest path out of it."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.effects import end_of, kind_opacity, note_of, title_of, with_tooltip, without_paths
from analysis.charts.grid import framed, layer_by_head, row_height
from analysis.charts.once import drawn_once
from analysis.charts.scales import rounded, told_from_zero
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import head_label
from analysis.labels import number as signed
from analysis.requests import HEAD_INPUTS
from analysis.results import EffectScale, KnownPaths, PathMap

#: Height of the rows in pixels, all together.
_HEIGHT = 420


@drawn_once
def source_map_chart(
    known: KnownPaths, scale: EffectScale = "effect", theme: Theme = "light", selected: str | None = None
) -> alt.LayerChart:
    """Source layer by head, coloured by the strongest of the head's paths into q, k or v of later heads.

    An effect that is no measurement is an estimate, and its tooltip says so. The last layer, out of which no
    path leads, is grey. Selection parameter `head` with the fields sl and sh; the head whose label is
    `selected` is framed.
    """
    palette, paths = PALETTES[theme], known.together
    n_layers, n_heads = paths.effect.shape[:2]
    rows = _rows(paths, scale)
    titles = ("source layer", ["source head", *note_of(paths, rows, scale)], title_of(paths, scale))
    fields, shape = ("sl", "sh", "value"), (n_layers, n_heads)
    cells, *numbers = layer_by_head(
        rows, fields, shape, end_of(paths, rows, scale), titles, palette, scale == "recovery"
    )
    cells = with_tooltip(cells, paths, scale, "'L' + datum.sl + 'H' + datum.sh")
    if not rows.empty and (rows["kind"] == "estimated").any():
        cells = cells.encode(opacity=kind_opacity(palette, "estimated (paler)"))
    cells = cells.encode(tooltip=[*cells.encoding.tooltip, alt.Tooltip("component:N")]).add_params(
        alt.selection_point(name="head", fields=["sl", "sh"])
    )
    silent = without_paths([{"x": 0, "x2": n_heads, "y": n_layers - 1, "y2": n_layers}], palette)
    every = pd.DataFrame(list(np.ndindex(n_layers, n_heads)), columns=["sl", "sh"])
    labels = [head_label(layer, head) for layer, head in every.itertuples(index=False)]
    frame = framed(every[[label == selected for label in labels]], ("sl", "sh"), palette)
    return drawn(
        [cells, silent, *numbers, frame], theme, source_map_height(n_layers), _description(rows, scale)
    )


def source_map_height(n_layers: int) -> int:
    """Pixels of the plot of `source_map_chart`."""
    return n_layers * row_height(n_layers, _HEIGHT)


def _rows(paths: PathMap, scale: EffectScale) -> pd.DataFrame:
    """One row for each head out of which a path leads, with its strongest."""
    effect = told_from_zero(paths, paths.effect)
    shown = effect if scale == "effect" else paths.recovery(effect)
    n_layers, n_heads = effect.shape[:2]
    strongest = np.nan_to_num(np.abs(paths.effect)).reshape(n_layers, n_heads, -1).argmax(axis=-1)
    destinations = np.unravel_index(strongest, (n_layers, n_heads))
    places = [(*head, *(int(end[head]) for end in destinations)) for head in np.ndindex(n_layers, n_heads)]
    rows = pd.DataFrame(places, columns=["sl", "sh", "dl", "dh"])
    at = tuple(rows.to_numpy().T)
    rows = rows.assign(
        value=rounded(shown[at]),
        component=[HEAD_INPUTS[index] for index in paths.component[at]],
        kind=np.where(paths.measured[at], "measured", "estimated"),
    )
    return rows[np.isfinite(rows["value"])]


def _description(rows: pd.DataFrame, scale: EffectScale) -> str:
    if rows.empty:
        return "No head has a path to a later one."
    strongest = rows.loc[rows["value"].abs().idxmax()]
    ends = [
        head_label(int(strongest[layer]), int(strongest[head]))
        for layer, head in (("sl", "sh"), ("dl", "dh"))
    ]
    size = signed(float(strongest["value"]), "+.3g" if scale == "effect" else "+.3%")
    return (
        f"{len(rows):,} heads that can be the source. Strongest path: {ends[0]} to {ends[1]} by "
        f"{strongest['component']} with {size}."
    )
