"""What both pictures of direct paths share: the rows, the scale and the words of their effects."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis.charts.scales import (
    BELOW_RESOLUTION,
    number,
    pale_note,
    reach,
    rounded,
    stepped,
    told_from_zero,
)
from analysis.charts.themes import Palette
from analysis.labels import head_label
from analysis.labels import number as signed
from analysis.requests import HEAD_INPUTS, METRIC_UNITS
from analysis.results import AllSourcesResult, EffectScale, PatchingResult, PathMap, PathResult


def title_of(result: PatchingResult, scale: EffectScale) -> str:
    """What the colours and numbers mean, with their unit."""
    return "recovery" if scale == "recovery" else f"effect ({METRIC_UNITS[result.request.metric]})"


def note_of(
    result: PatchingResult, rows: pd.DataFrame, scale: EffectScale, largest: float | None = None
) -> list[str]:
    """Why nothing is drawn where `scale` is not defined, or why `rows` are pale; `largest` as of `end_of`."""
    if scale == "recovery" and result.clean_metric == result.corrupted_metric:
        return ["recovery is not defined: the metric is the same on both runs"]
    return pale_note(_told(result, rows, scale, largest), *_bounds(result, scale))


def effect_rows(
    result: PatchingResult, effect: Float[np.ndarray, "..."], scale: EffectScale, fields: list[str]
) -> pd.DataFrame:
    """One row for each finite cell; what has no value has no row."""
    effect = told_from_zero(result, effect)
    shown = effect if scale == "effect" else result.recovery(effect)
    edges = np.argwhere(np.isfinite(shown))
    rows = pd.DataFrame(edges.astype(np.int16), columns=fields)
    return rows.assign(value=rounded(shown[tuple(edges.T)]))


def end_of(
    result: PatchingResult, rows: pd.DataFrame, scale: EffectScale, largest: float | None = None
) -> float:
    """The end of the colour scale, in the unit of `scale`.

    By what `rows` hold, or by `largest`, an effect in the metric's unit that is the end of several pictures'
    scale: grown by quarters of it where `rows` go beyond it.
    """
    return reach(_told(result, rows, scale, largest), *_bounds(result, scale))


def _told(
    result: PatchingResult, rows: pd.DataFrame, scale: EffectScale, largest: float | None
) -> Float[np.ndarray, " value"]:
    """What the scale has to tell."""
    values = rows["value"].to_numpy()
    if largest is None:
        return values
    base = largest if scale == "effect" else float(np.abs(result.recovery(np.array(largest))))
    return np.array([stepped(base, reach(values))]) if values.any() else np.array([base])


def _bounds(result: PatchingResult, scale: EffectScale) -> tuple[float | None, float]:
    """The resolution, and all that could be moved: clean minus corrupted metric, in the unit of `scale`."""
    resolution, movable = result.provenance.resolution, result.clean_metric - result.corrupted_metric
    if scale == "effect":
        return resolution, movable
    if resolution is not None:
        resolution = float(np.nan_to_num(np.abs(result.recovery(np.array(resolution)))))
    return resolution, 1.0 if movable else 0.0


def with_tooltip(cells: alt.Chart, result: PatchingResult, scale: EffectScale, source: str) -> alt.Chart:
    """`cells` with a tooltip; labels and the other scale are made in the browser, not sent."""
    span = float(result.clean_metric - result.corrupted_metric)
    tooltip = [
        alt.Tooltip("source:N"),
        alt.Tooltip("destination:N"),
        alt.Tooltip("effect:N", title=title_of(result, "effect")),
    ]
    values = {"effect": "datum.value" if scale == "effect" else f"datum.value * {span!r}"}
    if span:
        values["recovery"] = "datum.value" if scale == "recovery" else f"datum.value / {span!r}"
        tooltip.append(alt.Tooltip("recovery:N"))
    forms = {"effect": "+.4f", "recovery": "+.2%"}
    resolution = result.provenance.resolution
    numbers = {name: number(f"({value})", resolution, forms[name]) for name, value in values.items()}
    if "kind" in cells.data:
        tooltip.append(alt.Tooltip("kind:N"))
    destination = "'L' + datum.dl + 'H' + datum.dh"
    return cells.transform_calculate(source=source, destination=destination, **numbers).encode(
        tooltip=tooltip
    )


def without_paths(areas: list[dict[str, int]], palette: Palette) -> alt.Chart:
    """Grey areas without a causal path: one mark for each, however many cells it covers."""
    return (
        alt.Chart(pd.DataFrame(areas, columns=["x", "x2", "y", "y2"]).assign(area="no causal path"))
        .mark_rect(clip=True)
        .encode(
            x=alt.X("x:Q"),
            x2=alt.X2("x2:Q"),
            y=alt.Y("y:Q"),
            y2=alt.Y2("y2:Q"),
            fill=alt.Fill(
                "area:N",
                scale=alt.Scale(range=[palette.masked]),
                legend=alt.Legend(title=None, orient="bottom"),
            ),
            tooltip=alt.Tooltip("area:N", title="cells"),
        )
    )


def summary(result: PathResult | AllSourcesResult | PathMap, rows: pd.DataFrame, scale: EffectScale) -> str:
    """How many paths are drawn, and where the strongest leads, for a screen reader."""
    if rows.empty:
        return "No path has a value."
    strongest = rows.loc[rows["value"].abs().idxmax()]
    if result.provenance.resolution and strongest["value"] == 0:
        return f"All {len(rows):,} effects are {BELOW_RESOLUTION}."
    return (
        f"{len(rows):,} paths into {_inputs(result)} of later heads. "
        f"Strongest destination: {head_label(int(strongest['dl']), int(strongest['dh']))} "
        f"with {signed(float(strongest['value']), '+.3g' if scale == 'effect' else '+.3%')}."
    )


def _inputs(result: PathResult | AllSourcesResult | PathMap) -> str:
    if not isinstance(result, PathMap):
        return f"the {result.request.component} input"
    found = np.unique(result.component).tolist()
    return f"the {HEAD_INPUTS[found[0]]} input" if len(found) == 1 else "query, key and value, the strongest"


def kind_opacity(palette: Palette, estimated: str) -> alt.Opacity:
    """Cells whose `kind` is "estimated" paler than those that are "measured"; the legend calls them so."""
    return alt.Opacity(
        "kind:O",
        scale=alt.Scale(domain=["measured", "estimated"], range=[1, 0.6]),
        legend=alt.Legend(
            title=None,
            orient="bottom",
            columns=1,
            symbolFillColor=palette.positive,
            symbolStrokeWidth=0,
            labelExpr=f"datum.label == 'estimated' ? '{estimated}' : datum.label",
        ),
    )
