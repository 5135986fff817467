"""Direct path patching: one source to every later head, and every source to every later head."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis.charts.grid import across, down, head_cells
from analysis.charts.scales import METRIC_UNITS, Scale, diverging, reach, rounded
from analysis.charts.themes import PALETTES, Palette, Theme, themed
from analysis.results import AllSourcesResult, PatchingResult, PathResult, head_label

#: Cells that a browser still draws and hovers with ease; of more, the strongest are shown.
MOST_CELLS = 21_000
NO_PATH = "no causal path"


def path_chart(result: PathResult, scale: Scale = "effect", theme: Theme = "light") -> alt.LayerChart:
    """Destination layer by head, coloured by the effect of the path from the one source.

    Selection parameter `edge` with the fields dl and dh.
    """
    palette = PALETTES[theme]
    n_layers, n_heads = result.values.shape
    sl, sh = result.request.source_layer, result.request.source_head
    rows = _edge_rows(result, result.effect, scale, ["dl", "dh"])
    titles = ("destination layer", "destination head")
    cells = head_cells(rows, ("dl", "dh"), (n_layers, n_heads), titles, palette)
    cells = _edge_marks(cells, result, scale, palette, f"'{head_label(sl, sh)}'")
    edge = alt.selection_point(name="edge", fields=["dl", "dh"])
    masked = _masked([{"x": 0, "x2": n_heads, "y": 0, "y2": sl + 1}], palette)
    mark = pd.DataFrame([{"x": sh + 0.5, "y": sl + 0.5, "source": f"source {head_label(sl, sh)}"}])
    source = (
        alt.Chart(mark)
        .mark_point(filled=True, size=110, opacity=1, color=palette.text)
        .encode(
            x="x:Q",
            y="y:Q",
            shape=alt.Shape(
                "source:N",
                scale=alt.Scale(range=["diamond"]),
                legend=alt.Legend(title=None, orient="bottom", symbolFillColor=palette.text, symbolType="diamond"),
            ),
            tooltip=alt.Tooltip("source:N"),
        )
    )
    chart = alt.layer(cells.add_params(edge), masked, source).properties(
        height=max(180, 30 * n_layers),
        description=f"Direct paths from {head_label(sl, sh)}. {_description(result, rows)}",
    )
    return themed(chart, theme)


def all_sources_chart(
    result: AllSourcesResult, scale: Scale = "effect", theme: Theme = "light", most: int = MOST_CELLS
) -> alt.LayerChart:
    """Source head (down) by destination head (across), coloured by the effect of the path.

    Estimated cells are smaller and paler than measured ones. Of more than `most` cells the
    strongest are drawn. Selection parameter `edge` with the fields sl, sh, dl and dh.
    """
    palette = PALETTES[theme]
    n_layers, n_heads = result.values.shape[:2]
    size = n_layers * n_heads
    rows = _edge_rows(result, result.effect, scale, ["sl", "sh", "dl", "dh"])
    paths = len(rows)
    if paths > most:
        rows = rows.iloc[np.argsort(-np.abs(rows["value"].to_numpy()), kind="stable")[:most]]
    note = [f"the {most:,} strongest of {paths:,} paths are drawn"] if paths > most else []
    marks = alt.Chart(_with_kind(rows, result)).mark_rect(cursor="pointer")
    inset = "" if result.complete else " + (datum.kind == 'estimated' ? 0.2 : 0)"
    outset = inset.replace("+", "-", 1)
    cells = marks.transform_calculate(
        x=f"datum.dl * {n_heads} + datum.dh{inset}",
        x2=f"datum.dl * {n_heads} + datum.dh + 1{outset}",
        y=f"datum.sl * {n_heads} + datum.sh{inset}",
        y2=f"datum.sl * {n_heads} + datum.sh + 1{outset}",
    ).encode(
        x=across("x", ["destination head, by layer", *note], size, n_heads),
        x2="x2:Q",
        y=down("y", "source head, by layer", size, n_heads),
        y2="y2:Q",
    )
    cells = _edge_marks(cells, result, scale, palette, "'L' + datum.sl + 'H' + datum.sh")
    if not result.complete:
        cells = cells.encode(opacity=_kind_opacity(palette))
    edge = alt.selection_point(name="edge", fields=["sl", "sh", "dl", "dh"])
    triangle = [
        {"x": layer * n_heads, "x2": (layer + 1) * n_heads, "y": layer * n_heads, "y2": size}
        for layer in range(n_layers)
    ]
    borders = alt.Chart(pd.DataFrame({"at": range(n_heads, size, n_heads)}))
    borders = borders.mark_rule(color=palette.line, strokeWidth=0.6)
    chart = alt.layer(
        cells.add_params(edge), _masked(triangle, palette), borders.encode(x="at:Q"), borders.encode(y="at:Q")
    ).properties(height=600, description=f"Every direct path. {_description(result, rows)}")
    return themed(chart, theme)


def _edge_rows(
    result: PatchingResult, effect: Float[np.ndarray, "..."], scale: Scale, fields: list[str]
) -> pd.DataFrame:
    """One row for each finite cell; what has no value has no row."""
    shown = effect if scale == "effect" else result.recovery(effect)
    edges = np.argwhere(np.isfinite(shown))
    rows = pd.DataFrame(edges.astype(np.int16), columns=fields)
    return rows.assign(value=rounded(shown[tuple(edges.T)]))


def _edge_marks(
    cells: alt.Chart, result: PatchingResult, scale: Scale, palette: Palette, source: str
) -> alt.Chart:
    """`cells` with colour and tooltip; labels and the other scale are made in the browser."""
    unit = METRIC_UNITS[result.request.metric]
    span = result.clean_metric - result.corrupted_metric
    tooltip = [
        alt.Tooltip("source:N"),
        alt.Tooltip("destination:N"),
        alt.Tooltip("effect:Q", title=f"effect ({unit})", format="+.4f"),
    ]
    other = {"effect": "datum.value" if scale == "effect" else f"datum.value * {span!r}"}
    if span:
        other["recovery"] = "datum.value" if scale == "recovery" else f"datum.value / {span!r}"
        tooltip.append(alt.Tooltip("recovery:Q", format="+.4f"))
    if "kind" in cells.data:
        tooltip.append(alt.Tooltip("kind:N"))
    title = f"effect ({unit})" if scale == "effect" else "recovery"
    return cells.transform_calculate(
        source=source, destination="'L' + datum.dl + 'H' + datum.dh", **other
    ).encode(
        color=diverging("value", title, reach(cells.data["value"].to_numpy()), palette), tooltip=tooltip
    )


def _masked(areas: list[dict[str, int]], palette: Palette) -> alt.Chart:
    """Grey areas without a causal path: one mark for each, however many cells it covers."""
    return (
        alt.Chart(pd.DataFrame(areas).assign(area=NO_PATH))
        .mark_rect()
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
            tooltip=alt.Tooltip("area:N", title="cell"),
        )
    )


def _with_kind(rows: pd.DataFrame, result: AllSourcesResult) -> pd.DataFrame:
    if result.complete:
        return rows
    exact = result.exact[tuple(rows[["sl", "sh", "dl", "dh"]].to_numpy().T)]
    return rows.assign(kind=np.where(exact, "measured", "estimated"))


def _kind_opacity(palette: Palette) -> alt.Opacity:
    return alt.Opacity(
        "kind:N",
        scale=alt.Scale(domain=["measured", "estimated"], range=[1, 0.6]),
        legend=alt.Legend(title=None, orient="bottom", symbolFillColor=palette.positive),
    )


def _description(result: PatchingResult, rows: pd.DataFrame) -> str:
    if rows.empty:
        return "No path has a value."
    strongest: Any = rows.loc[rows["value"].abs().idxmax()]
    return (
        f"{len(rows):,} paths into the {result.request.component} input of later heads. "
        f"Strongest destination: {head_label(int(strongest['dl']), int(strongest['dh']))} "
        f"with {strongest['value']:+.3f}."
    )
