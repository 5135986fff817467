"""Every direct path of one head: whom it tells, or who tells it, by query, key and value."""

from __future__ import annotations

from typing import Literal

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.effects import end_of, note_of, title_of, with_tooltip
from analysis.charts.grid import layer_by_head
from analysis.charts.once import drawn_once
from analysis.charts.scales import rounded, told_from_zero
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import counted, head_label
from analysis.requests import HEAD_INPUTS
from analysis.results import EffectScale, HeadPathsRequest, PathsResult

#: Which end of the drawn paths the head at hand is.
HeadEnd = Literal["source", "destination"]
#: What the three maps side by side are of.
_INPUT_NAMES = ("query", "key", "value")
#: Height of a layer in pixels.
_ROW = 22


@drawn_once
def head_paths_chart(
    result: PathsResult, end: HeadEnd, scale: EffectScale = "effect", theme: Theme = "light"
) -> alt.LayerChart:
    """The other ends of a head's paths, layer by head, three maps side by side: into query, key and value.

    The head is the `end` of every path drawn; only layers to which there is a path are drawn. Colours are on
    one scale over all of the result's paths, incoming and outgoing. Selection parameter `path` with the
    fields source, destination and component. `result` answers a `HeadPathsRequest`.
    """
    assert isinstance(result.request, HeadPathsRequest)
    palette, request = PALETTES[theme], result.request
    layers = _layers(result, end)
    rows, every = _rows(result, end, scale, layers.start), _rows(result, None, scale, 0)
    width = len(HEAD_INPUTS) * (result.n_heads + 1) - 1
    columns = [name for _ in HEAD_INPUTS for name in [*map(str, range(result.n_heads)), ""]][:width]
    other = "destination" if end == "source" else "source"
    cells, *numbers = layer_by_head(
        rows,
        ("down", "across", "value"),
        (max(1, len(layers)), width),
        end_of(result, every, scale),
        (f"{other} layer", [f"{other} head", *note_of(result, every, scale)], title_of(result, scale)),
        palette,
        scale == "recovery",
        ([str(layer) for layer in layers], columns),
    )
    cells = with_tooltip(cells, result, scale, "datum.source")
    cells = cells.encode(tooltip=[*cells.encoding.tooltip, alt.Tooltip("component:N")]).add_params(
        alt.selection_point(name="path", fields=["source", "destination", "component"])
    )
    titles = pd.DataFrame(
        {
            "at": [(result.n_heads + 1) * index + result.n_heads / 2 for index in range(len(HEAD_INPUTS))],
            "title": [f"into the {name}" for name in _INPUT_NAMES],
        }
    )
    over = (
        alt.Chart(titles)
        .mark_text(baseline="bottom", fontWeight=600, tooltip=None, color=palette.text)
        .encode(x=alt.X("at:Q"), y=alt.YValue(-5), text=alt.Text("title:N"))
    )
    height = max(60, _ROW * len(layers))
    return drawn([cells, over, *numbers], theme, height, _description(request.label, end, rows, scale))


def _layers(result: PathsResult, end: HeadEnd) -> range:
    """The layers in which the other ends of the paths lie."""
    assert isinstance(result.request, HeadPathsRequest)
    own = result.request.layer
    return range(own + 1, result.n_layers) if end == "source" else range(own)


def _rows(result: PathsResult, end: HeadEnd | None, scale: EffectScale, first_layer: int) -> pd.DataFrame:
    """One row for each path of which the head is the `end` (of either, if None)."""
    assert isinstance(result.request, HeadPathsRequest)
    own = (result.request.layer, result.request.head)
    is_source = (result.edges[:, :2] == own).all(axis=1)
    chosen = {"source": is_source, "destination": ~is_source, None: np.ones_like(is_source)}[end]
    edges, components = result.edges[chosen], result.components[chosen]
    effect = told_from_zero(result, result.effect[chosen])
    shown = effect if scale == "effect" else result.recovery(effect)
    layer, head = (edges[:, 2:] if end == "source" else edges[:, :2]).T
    rows = pd.DataFrame(
        {
            "down": layer - first_layer,
            "across": components * (result.n_heads + 1) + head,
            "dl": edges[:, 2],
            "dh": edges[:, 3],
            "source": [head_label(*edge[:2]) for edge in edges.tolist()],
            "component": [HEAD_INPUTS[index] for index in components],
            "value": rounded(shown),
        }
    )
    return rows.assign(destination=[head_label(*edge[2:]) for edge in edges.tolist()])[np.isfinite(shown)]


def _description(label: str, end: HeadEnd, rows: pd.DataFrame, scale: EffectScale) -> str:
    direction = f"out of {label}" if end == "source" else f"into {label}"
    if rows.empty:
        return f"There is no path {direction}."
    strongest = rows.loc[rows["value"].abs().idxmax()]
    size = format(strongest["value"], "+.3g" if scale == "effect" else "+.1%")
    return (
        f"{counted(len(rows), 'path')} {direction}. Strongest: {strongest['source']} to "
        f"{strongest['destination']} by {strongest['component']} with {size}."
    )
