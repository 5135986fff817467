"""Direct logit attribution: bars, the layer trajectory, and heat maps."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.style import PALETTES, Theme, largest, rounded, shown_token, signed_scale
from analysis.results import AttributionResult

#: Above this many bars their values are left to the tooltip.
MOST_VALUE_LABELS = 34


def attribution_chart(
    result: AttributionResult, position: int | None, theme: Theme = "light"
) -> alt.Chart | alt.LayerChart:
    """The attribution in logits at one position, or of every position as a heat map."""
    if position is None:
        return _every_position(result, theme)
    values = result.attribution[:, position]
    charts = {"component": _bars, "layer": _trajectory, "head": _heads}
    return charts[result.request.unit](result, values, theme)


def _bars(result: AttributionResult, values: np.ndarray, theme: Theme) -> alt.LayerChart:
    palette, title = PALETTES[theme], "attribution (logits)"
    table = pd.DataFrame({"component": result.labels, "attribution": rounded(values)})
    base = alt.Chart(table).encode(
        x=alt.X(
            "component:N", sort=list(result.labels), title=None, axis=alt.Axis(labelAngle=-45, labelLimit=120)
        ),
        y=alt.Y("attribution:Q", title=title),
        tooltip=[alt.Tooltip("component:N"), alt.Tooltip("attribution:Q", format="+.4f", title="logits")],
    )
    bars = base.mark_bar(cornerRadiusEnd=2).encode(
        color=alt.condition("datum.attribution < 0", alt.value(palette.negative), alt.value(palette.positive))
    )
    layers = [bars, _zero(palette.ink, title)]
    if len(values) <= MOST_VALUE_LABELS:
        text = base.mark_text(fontSize=11, color=palette.ink, dy=alt.expr("datum.attribution < 0 ? 10 : -8"))
        layers.append(text.encode(text=alt.Text("attribution:Q", format="+.2f")))
    return alt.layer(*layers).properties(
        height=380, description="Attribution of each component in logits, positive towards the answer."
    )


def _zero(color: str, title: str) -> alt.Chart:
    rule = alt.Chart(pd.DataFrame({"zero": [0]}))
    return rule.mark_rule(color=color, opacity=0.5).encode(y=alt.Y("zero:Q", title=title))


def _trajectory(result: AttributionResult, values: np.ndarray, theme: Theme) -> alt.LayerChart:
    palette, title = PALETTES[theme], "logit difference so far (logits)"
    table = pd.DataFrame({"stage": result.labels, "logits": rounded(values)})
    base = alt.Chart(table).encode(
        x=alt.X(
            "stage:N", sort=list(result.labels), title="residual stream after", axis=alt.Axis(labelAngle=-45)
        ),
        y=alt.Y("logits:Q", title=title),
        tooltip=[alt.Tooltip("stage:N"), alt.Tooltip("logits:Q", format="+.4f")],
    )
    line = base.mark_line(
        color=palette.positive, strokeWidth=2, point=alt.OverlayMarkDef(color=palette.positive, size=45)
    )
    last = (
        base.transform_filter(alt.datum.stage == result.labels[-1])
        .mark_text(dy=-12, fontSize=13, fontWeight="bold", color=palette.ink)
        .encode(text=alt.Text("logits:Q", format="+.2f"))
    )
    return alt.layer(line, last, _zero(palette.ink, title)).properties(
        height=380, description="Logit difference read from the residual stream after each sublayer."
    )


def _heads(result: AttributionResult, values: np.ndarray, theme: Theme) -> alt.LayerChart:
    shape = (result.n_layers, result.n_heads)
    grid = values[: result.n_layers * result.n_heads].reshape(shape)
    layer, head = np.indices(shape)
    table = pd.DataFrame({"layer": layer.ravel(), "head": head.ravel(), "attribution": rounded(grid.ravel())})
    base = alt.Chart(table).encode(
        x=alt.X("head:O", title="head", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("layer:O", title="layer"),
        tooltip=["layer:O", "head:O", alt.Tooltip("attribution:Q", format="+.4f", title="logits")],
    )
    cells = base.mark_rect().encode(
        color=alt.Color("attribution:Q", scale=signed_scale(grid, theme), title="logits")
    )
    layers = [cells]
    if grid.size <= 160:
        layers.append(cell_numbers(base, "attribution", largest(grid), theme))
    return alt.layer(*layers).properties(
        height=max(220, 34 * result.n_layers),
        description="Attribution of every attention head in logits, by layer and head.",
    )


def cell_numbers(base: alt.Chart, field: str, reach: float, theme: Theme) -> alt.Chart:
    """The value in each cell, in an ink that stands out from the cell's colour."""
    palette = PALETTES[theme]
    strong = f"abs(datum.{field}) > {0.62 * reach}"
    return base.mark_text(fontSize=11).encode(
        text=alt.Text(f"{field}:Q", format="+.2f"),
        color=alt.condition(
            strong, alt.value("#ffffff" if theme == "light" else "#11161d"), alt.value(palette.ink)
        ),
    )


def _every_position(result: AttributionResult, theme: Theme) -> alt.Chart:
    columns = [f"{position} {shown_token(token)}" for position, token in enumerate(result.tokens)]
    component, position = np.indices(result.attribution.shape)
    table = pd.DataFrame(
        {
            "component": np.array(result.labels)[component.ravel()],
            "token": np.array(columns)[position.ravel()],
            "attribution": rounded(result.attribution.ravel()),
        }
    )
    return (
        alt.Chart(table)
        .mark_rect()
        .encode(
            x=alt.X("token:N", sort=columns, title="position", axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("component:N", sort=list(result.labels), title=None),
            color=alt.Color("attribution:Q", scale=signed_scale(result.attribution, theme), title="logits"),
            tooltip=["component:N", "token:N", alt.Tooltip("attribution:Q", format="+.4f", title="logits")],
        )
        .properties(
            height=max(260, 18 * len(result.labels)),
            description="Attribution in logits of every component at every position.",
        )
    )
