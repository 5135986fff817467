"""Path patching: one source over destination layer and head, and all sources at once."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.attribution import cell_numbers
from analysis.charts.style import PALETTES, Scale, Theme, largest, rounded, signed_scale
from analysis.results import AllSourcesResult, PatchingResult, PathResult, head_label

#: More cells than this are too many to draw; the strongest are shown.
MOST_CELLS = 21_000
_TITLES = {
    "logit_difference": "logits",
    "answer_log_probability": "nats",
    "answer_probability": "probability",
    "kl_from_clean": "nats",
}


def _title(result: PatchingResult, scale: Scale) -> str:
    return "recovery" if scale == "recovery" else f"effect ({_TITLES[result.request.metric]})"


def _shown(result: PatchingResult, effect: np.ndarray, scale: Scale) -> np.ndarray:
    return result.recovery(effect) if scale == "recovery" else effect


def path_chart(result: PathResult, scale: Scale = "effect", theme: Theme = "light") -> alt.LayerChart:
    """Destination layer by head; cells without a causal path are grey and crossed, never zero."""
    palette = PALETTES[theme]
    effect, request = result.effect, result.request
    shown = _shown(result, effect, scale)
    measured = np.argwhere(~np.isnan(shown))
    table = pd.DataFrame(measured, columns=["dl", "dh"]).assign(
        destination=[head_label(*cell) for cell in measured],
        value=rounded(shown[tuple(measured.T)]),
        effect=rounded(effect[tuple(measured.T)]),
        recovery=rounded(np.nan_to_num(result.recovery(effect))[tuple(measured.T)]),
    )
    x = alt.X("dh:O", title="destination head", axis=alt.Axis(labelAngle=0))
    y = alt.Y("dl:O", title="destination layer")
    base = alt.Chart(table).encode(
        x=x,
        y=y,
        tooltip=[
            alt.Tooltip("destination:N"),
            alt.Tooltip("effect:Q", format="+.5f", title=_title(result, "effect")),
            alt.Tooltip("recovery:Q", format="+.4f"),
        ],
    )
    edge = alt.selection_point(name="edge", fields=["dl", "dh"], empty=False)
    cells = (
        base.mark_rect()
        .encode(color=alt.Color("value:Q", scale=signed_scale(shown, theme), title=_title(result, scale)))
        .add_params(edge)
    )
    layers = [
        *_no_path(np.argwhere(np.isnan(shown)), request.source_layer, request.source_head, theme),
        cells,
    ]
    if measured.size and len(measured) <= 160:
        layers.append(cell_numbers(base, "value", largest(shown), theme))
    return (
        alt.layer(*layers)
        .properties(
            height=max(220, 34 * len(shown)),
            description=f"{_title(result, scale)} of the path from "
            f"{head_label(request.source_layer, request.source_head)} to every later head.",
        )
        .configure_axis(domainColor=palette.faint)
    )


def _no_path(cells: np.ndarray, source_layer: int, source_head: int, theme: Theme) -> list[alt.Chart]:
    """Grey cells with a stroke through each, and the source's own cell named."""
    palette = PALETTES[theme]
    table = pd.DataFrame(cells, columns=["dl", "dh"])
    is_source = (table["dl"] == source_layer) & (table["dh"] == source_head)
    table["sign"] = np.where(is_source, "source", "/")
    table["why"] = np.where(is_source, "the source itself", "no causal path")
    base = alt.Chart(table).encode(
        x=alt.X("dh:O"), y=alt.Y("dl:O"), tooltip=[alt.Tooltip("why:N", title="no measurement")]
    )
    signs = base.mark_text(fontSize=11, color=palette.ink, opacity=0.65).encode(text="sign:N")
    return [base.mark_rect(color=palette.no_path), signs]


def all_sources_chart(
    result: AllSourcesResult, scale: Scale = "effect", theme: Theme = "light"
) -> alt.LayerChart:
    """Sources as rows, destinations as columns, grouped by layer; estimates as smaller squares."""
    n_layers, n_heads = result.values.shape[:2]
    shown = _shown(result, result.effect, scale)
    edge = alt.selection_point(name="edge", fields=["sl", "sh", "dl", "dh"], empty=False)
    inset = "(datum.exact ? 0 : 0.22)"
    cells = (
        alt.Chart(_cells(result, shown))
        .transform_calculate(
            source="'L' + datum.sl + 'H' + datum.sh",
            destination="'L' + datum.dl + 'H' + datum.dh",
            left=f"datum.dl * {n_heads} + datum.dh + {inset}",
            right=f"datum.dl * {n_heads} + datum.dh + 1 - {inset}",
            top=f"datum.sl * {n_heads} + datum.sh + {inset}",
            bottom=f"datum.sl * {n_heads} + datum.sh + 1 - {inset}",
            how="datum.exact ? 'exact' : 'estimate, first order'",
        )
        .mark_rect()
        .encode(
            x=_layer_axis(alt.X, "left:Q", "destination layer", n_layers, n_heads),
            x2="right:Q",
            y=_layer_axis(alt.Y, "top:Q", "source layer", n_layers, n_heads),
            y2="bottom:Q",
            color=alt.Color("value:Q", scale=signed_scale(shown, theme), title=_title(result, scale)),
            tooltip=[
                alt.Tooltip("source:N"),
                alt.Tooltip("destination:N"),
                alt.Tooltip("value:Q", format="+.5f", title=_title(result, scale)),
                alt.Tooltip("how:N"),
            ],
        )
        .add_params(edge)
    )
    layers = [_no_path_area(n_layers, n_heads, theme), cells, *_layer_rules(n_layers, n_heads, theme)]
    return alt.layer(*layers).properties(
        height=620, description=f"{_title(result, scale)} of every direct path between two heads."
    )


def _cells(result: AllSourcesResult, shown: np.ndarray) -> pd.DataFrame:
    """One row per measured or estimated edge, the strongest if there are too many."""
    edges = np.argwhere(~np.isnan(shown))
    values = shown[tuple(edges.T)]
    if len(edges) > MOST_CELLS:
        strongest = np.sort(np.argpartition(-np.abs(values), MOST_CELLS)[:MOST_CELLS])
        edges, values = edges[strongest], values[strongest]
    return pd.DataFrame(edges, columns=["sl", "sh", "dl", "dh"]).assign(
        value=rounded(values), exact=result.exact[tuple(edges.T)]
    )


def _layer_axis(channel: type, field: str, title: str, n_layers: int, n_heads: int) -> alt.X | alt.Y:
    """A linear axis over heads that names each layer in the middle of its heads."""
    # No path ends in the first layer or starts in the last: neither is drawn.
    is_source = channel is alt.Y
    first, stop = (0, n_layers - 1) if is_source else (1, n_layers)
    middles = [(layer + 0.5) * n_heads for layer in range(first, stop)]
    return channel(
        field,
        title=title,
        scale=alt.Scale(domain=[first * n_heads, stop * n_heads], nice=False, zero=False, reverse=is_source),
        axis=alt.Axis(
            values=middles, labelExpr=f"'L' + floor(datum.value / {n_heads})", grid=False, ticks=False
        ),
    )


def _no_path_area(n_layers: int, n_heads: int, theme: Theme) -> alt.Chart:
    """One grey rectangle per source layer, over every destination drawn that is not later."""
    sources = range(1, n_layers - 1)
    table = pd.DataFrame(
        {
            "left": n_heads,
            "right": [(layer + 1) * n_heads for layer in sources],
            "top": [layer * n_heads for layer in sources],
            "bottom": [(layer + 1) * n_heads for layer in sources],
        }
    )
    area = alt.Chart(table).mark_rect(color=PALETTES[theme].no_path, tooltip=None)
    return area.encode(x=alt.X("left:Q"), x2="right:Q", y=alt.Y("top:Q"), y2="bottom:Q")


def _layer_rules(n_layers: int, n_heads: int, theme: Theme) -> list[alt.Chart]:
    """Lines between layers, in both directions."""
    inner = [
        pd.DataFrame({"at": [layer * n_heads for layer in layers]})
        for layers in (range(2, n_layers), range(1, n_layers - 1))
    ]
    of_columns, of_rows = (
        alt.Chart(table).mark_rule(color=PALETTES[theme].faint, strokeWidth=1) for table in inner
    )
    return [of_columns.encode(x=alt.X("at:Q")), of_rows.encode(y=alt.Y("at:Q"))]
