"""Direct logit attribution: bars, a trajectory, or a heat map, by unit and position."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.bars import Drawing, attribution_bars, with_tooltip, zero
from analysis.charts.grid import layer_by_head
from analysis.charts.once import drawn_once
from analysis.charts.scales import (
    BELOW_RESOLUTION,
    by_sign,
    diverging,
    pale_note,
    reach,
    rounded,
    told_from_zero,
)
from analysis.charts.themes import PALETTES, Palette, Theme, drawn
from analysis.labels import head_label, shown_token
from analysis.labels import number as signed
from analysis.results import AttributionResult


@drawn_once
def attribution_chart(
    result: AttributionResult, position: int | None, theme: Theme = "light"
) -> alt.LayerChart:
    """Attribution at `position`, or at every position where it is None, in logits.

    One position gives bars for unit `component`, the cumulative trajectory for `layer`, and a
    layer-by-head heat map for `head`, whose remainder stands under the axis as a number.
    """
    palette = PALETTES[theme]
    if position is None:
        layers, height = _positions(result, palette)
    else:
        draw = {"component": _bars, "layer": _trajectory, "head": _heads}[result.request.unit]
        layers, height = draw(result, result.position(position), palette)
    return drawn(layers, theme, height, _description(result, position))


def _rows(result: AttributionResult, position: int | None) -> pd.DataFrame:
    table = result.table(position)
    table = table[np.isfinite(table["attribution"])]
    return table.assign(attribution=rounded(told_from_zero(result, table["attribution"].to_numpy())))


def _with_tooltip(chart: alt.Chart, result: AttributionResult, *fields: str) -> alt.Chart:
    """`chart` with a tooltip of `fields` and the attribution."""
    return with_tooltip(chart, result.provenance.resolution, *fields)


def _bars(result: AttributionResult, position: int, palette: Palette) -> Drawing:
    return attribution_bars(_rows(result, position), "component", palette, result.provenance.resolution)


def _trajectory(result: AttributionResult, position: int, palette: Palette) -> Drawing:
    rows = _rows(result, position)
    stages = alt.Axis(labelAngle=-45, labelOverlap=True)
    x = alt.X("component:N", sort=None, title="residual stream at", axis=stages)
    base = _with_tooltip(alt.Chart(rows), result, "component").encode(
        x=x,
        y=alt.Y("attribution:Q", title="logit difference written so far (logits)", axis=alt.Axis(grid=True)),
    )
    line = base.mark_line(color=palette.muted, strokeWidth=2)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(color=by_sign("attribution", palette))
    final = (
        base.transform_filter((alt.datum.component == result.labels[-1]) & (alt.datum.attribution != 0))
        .mark_text(align="left", dx=9, fontWeight=600)
        .encode(text=alt.Text("attribution:Q", format="+.2f"))
    )
    marks = [zero(palette).encode(y=alt.Y("zero:Q")), line, points, final]
    return [*marks, *(_lens(rows, x, palette) if result.lens.size else [])], 340


def _lens(rows: pd.DataFrame, x: alt.X, palette: Palette) -> list[alt.Chart]:
    """The logit lens, which recomputes the norm at each stage, as a dashed line that bears its name."""
    seen = rows[["component"]].assign(lens=rounded(rows["lens"]), name="logit lens, norm recomputed")
    base = alt.Chart(seen).encode(x=x, y=alt.Y("lens:Q"))
    line = base.mark_line(color=palette.clean, strokeDash=[5, 4], strokeWidth=2, tooltip=None)
    name = (
        base.transform_filter(alt.datum.component == rows["component"].iloc[0])
        .mark_text(align="left", dy=-10, color=palette.clean, tooltip=None)
        .encode(text=alt.Text("name:N"))
    )
    return [line, name]


def _heads(result: AttributionResult, position: int, palette: Palette) -> Drawing:
    n_layers, n_heads = result.n_layers, result.n_heads
    values = told_from_zero(result, result.attribution[: n_layers * n_heads, position])
    values = values.reshape(n_layers, n_heads)
    remainder = result.attribution[n_layers * n_heads :, position].sum()
    cells = np.argwhere(np.isfinite(values))
    rows = pd.DataFrame(cells, columns=["layer", "head"]).assign(
        component=[head_label(*cell) for cell in cells], attribution=rounded(values[tuple(cells.T)])
    )
    amount = BELOW_RESOLUTION if result.below_resolution(remainder) else f"{signed(remainder, '+.3f')} logits"
    bounds = result.provenance.resolution, float(result.logit_difference[-1])
    pale = pale_note(values, *bounds, "attribution")
    titles = ("layer", ["head", "remainder (embedding, MLPs and biases):", amount, *pale], "logits")
    fields = ("layer", "head", "attribution")
    end = reach(values, *bounds)
    marks, *numbers = layer_by_head(rows, fields, (n_layers, n_heads), end, titles, palette)
    return [_with_tooltip(marks, result, "component"), *numbers], max(160, 30 * n_layers)


def _positions(result: AttributionResult, palette: Palette) -> Drawing:
    rows = _rows(result, None)
    places = [f"{position} {shown_token(token)}" for position, token in enumerate(result.tokens)]
    rows["at"] = [places[position] for position in rows["position"]]
    step = int(np.clip(640 // len(result.labels), 3, 22))
    gap = 1 if step > 8 else 0
    across = alt.Axis(labelAngle=-45, labelOverlap=True, labelLimit=110)
    bounds = result.provenance.resolution, float(result.logit_difference[-1])
    title = ["position and token", *pale_note(result.attribution, *bounds, "attribution")]
    end = reach(result.attribution, *bounds)
    cells = (
        alt.Chart(rows[["component", "at", "attribution"]])
        .mark_rect(stroke=palette.background, strokeWidth=gap)
        .encode(
            x=alt.X("at:N", sort=places, title=title, axis=across),
            y=alt.Y("component:N", sort=list(result.labels), title=None, axis=alt.Axis(labelOverlap=True)),
            color=diverging("attribution", "logits", end, palette),
        )
    )
    return [_with_tooltip(cells, result, "component", "at")], step * len(result.labels)


def _description(result: AttributionResult, position: int | None) -> str:
    where = "every position" if position is None else f"position {position % len(result.tokens)}"
    rows = _rows(result, position)
    if rows.empty:
        return "No component has an attribution."
    largest = rows.loc[rows["attribution"].abs().idxmax()]
    told = f"Largest: {largest['component']} with {signed(largest['attribution'], '+.3g')}."
    if result.provenance.resolution and largest["attribution"] == 0:
        told = f"All are {BELOW_RESOLUTION}."
    return (
        f"Direct logit attribution by {result.request.unit} at {where} of the {result.request.run} prompt, "
        f"in logits. {told}"
    )
