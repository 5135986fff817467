"""Direct paths from one source head to every later head."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.charts.effects import (
    effect_rows,
    end_of,
    note_of,
    summary,
    title_of,
    with_tooltip,
    without_paths,
)
from analysis.charts.grid import layer_by_head
from analysis.charts.once import drawn_once
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import head_label
from analysis.results import EffectScale, PathResult


@drawn_once
def path_chart(result: PathResult, scale: EffectScale = "effect", theme: Theme = "light") -> alt.LayerChart:
    """Destination layer by head, coloured by the effect of the path from the one source.

    The source's own layer is the first that is drawn. Selection parameter `edge` with the fields dl and dh.
    """
    palette = PALETTES[theme]
    n_layers, n_heads = result.values.shape
    source_layer, source_head = result.request.source_layer, result.request.source_head
    source = head_label(source_layer, source_head)
    rows = effect_rows(result, result.effect, scale, ["dl", "dh"])
    rows["down"] = rows["dl"] - source_layer
    layers = [str(layer) for layer in range(source_layer, n_layers)]
    titles = (
        "destination layer",
        ["destination head", *note_of(result, rows, scale)],
        title_of(result, scale),
    )
    fields, shape, end = ("down", "dh", "value"), (len(layers), n_heads), end_of(result, rows, scale)
    shares, names = scale == "recovery", (layers, None)
    cells, *numbers = layer_by_head(rows, fields, shape, end, titles, palette, shares, names)
    cells = with_tooltip(cells, result, scale, f"'{source}'").add_params(
        alt.selection_point(name="edge", fields=["dl", "dh"])
    )
    area = {"x": 0, "x2": n_heads, "y": 0, "y2": 1}
    place = pd.DataFrame([{"x": source_head + 0.5, "y": 0.5, "source": f"source {source}"}])
    mark = (
        alt.Chart(place)
        .mark_point(filled=True, size=110, opacity=1, color=palette.text)
        .encode(
            x=alt.X("x:Q"),
            y=alt.Y("y:Q"),
            shape=alt.Shape(
                "source:N",
                scale=alt.Scale(range=["diamond"]),
                legend=alt.Legend(title=None, orient="bottom", symbolFillColor=palette.text),
            ),
            tooltip=alt.Tooltip("source:N", title="head"),
        )
    )
    description = f"Direct paths from {source}. {summary(result, rows, scale)}"
    marks = [cells, without_paths([area], palette), mark, *numbers]
    return drawn(marks, theme, max(120, 30 * len(layers)), description)
