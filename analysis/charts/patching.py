"""Direct path patching: one source to every later head, and every source to every later head."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis.charts.grid import across, down, layer_by_head
from analysis.charts.scales import (
    BELOW_RESOLUTION,
    diverging,
    number,
    reach,
    round_number_above,
    rounded,
    told_from_zero,
)
from analysis.charts.themes import PALETTES, Palette, Theme, drawn
from analysis.labels import head_label
from analysis.requests import METRIC_UNITS
from analysis.results import AllSourcesResult, EffectScale, PatchingResult, PathResult

#: Cells that a browser still draws and hovers with ease; of more, the strongest are shown.
MOST_CELLS = 21_000
#: Share of a cell that an estimate leaves free on each side.
INSET = 0.2


def path_chart(result: PathResult, scale: EffectScale = "effect", theme: Theme = "light") -> alt.LayerChart:
    """Destination layer by head, coloured by the effect of the path from the one source.

    Selection parameter `edge` with the fields dl and dh.
    """
    palette = PALETTES[theme]
    n_layers, n_heads = result.values.shape
    source_layer, source_head = result.request.source_layer, result.request.source_head
    source = head_label(source_layer, source_head)
    rows = _edge_rows(result, result.effect, scale, ["dl", "dh"])
    titles = ("destination layer", ["destination head", *_note(result, scale)], _title(result, scale))
    fields, shape, end = ("dl", "dh", "value"), (n_layers, n_heads), _end(result, rows, scale)
    cells, *numbers = layer_by_head(rows, fields, shape, end, titles, palette)
    cells = _with_tooltip(cells, result, scale, f"'{source}'").add_params(
        alt.selection_point(name="edge", fields=["dl", "dh"])
    )
    area = {"x": 0, "x2": n_heads, "y": 0, "y2": source_layer + 1}
    place = pd.DataFrame([{"x": source_head + 0.5, "y": source_layer + 0.5, "source": f"source {source}"}])
    mark = (
        alt.Chart(place)
        .mark_point(filled=True, size=110, opacity=1, color=palette.text)
        .encode(
            x="x:Q",
            y="y:Q",
            shape=alt.Shape(
                "source:N",
                scale=alt.Scale(range=["diamond"]),
                legend=alt.Legend(title=None, orient="bottom", symbolFillColor=palette.text),
            ),
            tooltip=alt.Tooltip("source:N", title="head"),
        )
    )
    description = f"Direct paths from {source}. {_summary(result, rows)}"
    layers = [cells, _masked([area], palette), mark, *numbers]
    return drawn(layers, theme, max(180, 30 * n_layers), description)


def all_sources_chart(
    result: AllSourcesResult, scale: EffectScale = "effect", theme: Theme = "light", most: int = MOST_CELLS
) -> alt.LayerChart:
    """Source head (down) by destination head (across), coloured by the effect of the path.

    The last layer, which is nobody's source, and the first, which is nobody's destination, are
    left out. Estimated cells are smaller and paler than measured ones. Of more than `most` cells
    the strongest are drawn. Selection parameter `edge` with the fields sl, sh, dl and dh; parameter
    `zoom` moves and zooms in the browser alone.
    """
    palette = PALETTES[theme]
    n_layers, n_heads = result.values.shape[:2]
    rows = _edge_rows(result, result.effect, scale, ["sl", "sh", "dl", "dh"])
    paths, note = len(rows), _note(result, scale)
    if paths > most:
        rows = rows.iloc[np.argsort(-rows["value"].abs().to_numpy(), kind="stable")[:most]]
        note = [f"the {most:,} strongest of {paths:,} paths; weaker ones are left blank"]
    cells = _edge_cells(_with_kind(rows, result), (n_layers, n_heads), ["destination head", *note])
    cells = _with_tooltip(cells, result, scale, "'L' + datum.sl + 'H' + datum.sh")
    end = _end(result, rows, scale)
    description = f"Every direct path. {_summary(result, rows)}"
    if not result.complete:
        cells = cells.encode(opacity=_kind_opacity(palette))
        # What changes with every drawing would make the browser begin anew and lose its zoom.
        end, description = round_number_above(end), "Every direct path, while they are measured."
    cells = cells.encode(color=diverging("value", _title(result, scale), end, palette)).add_params(
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
    triangle = _masked(_triangle(n_layers, n_heads), palette)
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
            x2="x2:Q",
            y=down("y", "source head", 0, stop, n_heads),
            y2="y2:Q",
        )
    )


def _title(result: PatchingResult, scale: EffectScale) -> str:
    return "recovery" if scale == "recovery" else f"effect ({METRIC_UNITS[result.request.metric]})"


def _note(result: PatchingResult, scale: EffectScale) -> list[str]:
    undefined = scale == "recovery" and result.clean_metric == result.corrupted_metric
    return ["recovery is not defined: the metric is the same on both runs"] if undefined else []


def _edge_rows(
    result: PatchingResult, effect: Float[np.ndarray, "..."], scale: EffectScale, fields: list[str]
) -> pd.DataFrame:
    """One row for each finite cell; what has no value has no row."""
    effect = told_from_zero(result, effect)
    shown = effect if scale == "effect" else result.recovery(effect)
    edges = np.argwhere(np.isfinite(shown))
    rows = pd.DataFrame(edges.astype(np.int16), columns=fields)
    return rows.assign(value=rounded(shown[tuple(edges.T)]))


def _end(result: PatchingResult, rows: pd.DataFrame, scale: EffectScale) -> float:
    """The end of the colour scale, in the unit of `scale`."""
    resolution = result.provenance.resolution
    if resolution is not None and scale == "recovery":
        resolution = float(np.nan_to_num(np.abs(result.recovery(np.array(resolution)))))
    return reach(rows["value"].to_numpy(), resolution)


def _with_tooltip(cells: alt.Chart, result: PatchingResult, scale: EffectScale, source: str) -> alt.Chart:
    """`cells` with a tooltip; labels and the other scale are made in the browser, not sent."""
    span = float(result.clean_metric - result.corrupted_metric)
    tooltip = [
        alt.Tooltip("source:N"),
        alt.Tooltip("destination:N"),
        alt.Tooltip("effect:N", title=_title(result, "effect")),
    ]
    values = {"effect": "datum.value" if scale == "effect" else f"datum.value * {span!r}"}
    if span:
        values["recovery"] = "datum.value" if scale == "recovery" else f"datum.value / {span!r}"
        tooltip.append(alt.Tooltip("recovery:N"))
    numbers = {name: number(f"({value})", result.provenance.resolution) for name, value in values.items()}
    if "kind" in cells.data:
        tooltip.append(alt.Tooltip("kind:N"))
    destination = "'L' + datum.dl + 'H' + datum.dh"
    return cells.transform_calculate(source=source, destination=destination, **numbers).encode(
        tooltip=tooltip
    )


def _triangle(n_layers: int, n_heads: int) -> list[dict[str, int]]:
    """One area for each destination layer that not every drawn source comes before."""
    stop = max(1, n_layers - 1)
    return [
        {"x": layer * n_heads, "x2": (layer + 1) * n_heads, "y": layer * n_heads, "y2": stop * n_heads}
        for layer in range(min(1, n_layers - 1), stop)
    ]


def _masked(areas: list[dict[str, int]], palette: Palette) -> alt.Chart:
    """Grey areas without a causal path: one mark for each, however many cells it covers."""
    return (
        alt.Chart(pd.DataFrame(areas, columns=["x", "x2", "y", "y2"]).assign(area="no causal path"))
        .mark_rect(clip=True)
        .encode(
            x="x:Q",
            x2="x2:Q",
            y="y:Q",
            y2="y2:Q",
            fill=alt.Fill(
                "area:N",
                scale=alt.Scale(range=[palette.masked]),
                legend=alt.Legend(title=None, orient="bottom"),
            ),
            tooltip=alt.Tooltip("area:N", title="cells"),
        )
    )


def _borders(n_layers: int, n_heads: int, palette: Palette) -> list[alt.Chart]:
    """Lines between the layers of the destinations and of the sources."""
    columns, lines = (
        alt.Chart(pd.DataFrame({"at": [layer * n_heads for layer in layers]})).mark_rule(
            color=palette.line, strokeWidth=0.6, tooltip=None, clip=True
        )
        for layers in (range(2, n_layers), range(1, n_layers - 1))
    )
    return [columns.encode(x="at:Q"), lines.encode(y="at:Q")]


def _with_kind(rows: pd.DataFrame, result: AllSourcesResult) -> pd.DataFrame:
    if result.complete:
        return rows
    measured = result.measured[tuple(rows[["sl", "sh", "dl", "dh"]].to_numpy().T)]
    return rows.assign(kind=np.where(measured, "measured", "estimated"))


def _kind_opacity(palette: Palette) -> alt.Opacity:
    return alt.Opacity(
        "kind:O",
        scale=alt.Scale(domain=["measured", "estimated"], range=[1, 0.6]),
        legend=alt.Legend(
            title=None,
            orient="bottom",
            symbolFillColor=palette.positive,
            symbolStrokeWidth=0,
            labelExpr="datum.label == 'estimated' ? 'estimated (smaller squares)' : datum.label",
        ),
    )


def _summary(result: PatchingResult, rows: pd.DataFrame) -> str:
    if rows.empty:
        return "No path has a value."
    strongest = rows.loc[rows["value"].abs().idxmax()]
    if result.provenance.resolution and strongest["value"] == 0:
        return f"All {len(rows):,} effects are {BELOW_RESOLUTION}."
    return (
        f"{len(rows):,} paths into the {result.request.component} input of later heads. "
        f"Strongest destination: {head_label(int(strongest['dl']), int(strongest['dh']))} "
        f"with {strongest['value']:+.3g}."
    )
