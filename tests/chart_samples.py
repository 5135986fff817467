"""Results made by hand, every chart of them, and what a chart's specification holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import altair as alt
import numpy as np

from analysis.charts import Theme, all_sources_chart, attribution_chart, path_chart, predictions_chart
from analysis.charts.export import picture
from analysis.labels import head_label
from analysis.nodes import causal_edges
from analysis.requests import UNITS, Experiment, Unit
from analysis.results import (
    AllSourcesRequest,
    AllSourcesResult,
    AttributionRequest,
    AttributionResult,
    OverviewRequest,
    OverviewResult,
    PathRequest,
    PathResult,
    Provenance,
)

THEMES: tuple[Theme, ...] = get_args(Theme)
EXPERIMENT = Experiment("demo", "When Mary", "When John", " Mary", " John")
PROVENANCE = Provenance("demo", "0" * 64, {}, "cpu", "float32", "replay", "2025-01-01", 0.1)
TOKENS = ("<|endoftext|>", "When", " Mary", "\n")
CORRUPTED, CLEAN = -2.0, 3.0

Chart = alt.Chart | alt.LayerChart


def all_sources(n_layers: int = 3, n_heads: int = 4, measured: float = 1.0) -> AllSourcesResult:
    generator = np.random.default_rng(0)
    causal = causal_edges(n_layers, n_heads)
    effect = np.where(causal, generator.normal(size=causal.shape), np.nan)
    known = causal & (generator.random(causal.shape) < measured)
    values = np.where(known, effect + CORRUPTED, np.nan)
    request = AllSourcesRequest(EXPERIMENT)
    return AllSourcesResult(request, PROVENANCE, CORRUPTED, CLEAN, TOKENS, TOKENS, values, effect / 2)


def path(source_layer: int = 1, clean: float = CLEAN) -> PathResult:
    values = all_sources().values[source_layer, 2]
    request = PathRequest(EXPERIMENT, source_layer, 2)
    return PathResult(request, PROVENANCE, CORRUPTED, clean, TOKENS, TOKENS, values)


def attribution(unit: Unit = "component") -> AttributionResult:
    labels = {
        "component": ("embed", "0_attn_out", "0_mlp_out"),
        "layer": ("0_pre", "0_mid", "final_post"),
        "head": (*(head_label(layer, head) for layer in range(3) for head in range(4)), "remainder"),
    }[unit]
    values = np.random.default_rng(1).normal(size=(len(labels), len(TOKENS)))
    difference = values[-1] if unit == "layer" else values.sum(axis=0)
    request = AttributionRequest(EXPERIMENT, unit)
    lens = 2 * values + 1 if unit == "layer" else np.empty((0, 0))
    return AttributionResult(request, PROVENANCE, values, difference, lens, 0.0, labels, TOKENS, 3, 4)


def overview() -> OverviewResult:
    clean = ((" Mary", 5.0, 0.7), (" John", 4.0, 0.2))
    corrupted = ((" John", 5.0, 0.6), ("\n", 3.0, 0.1))
    metrics = {"logit_difference": (CLEAN, CORRUPTED)}
    return OverviewResult(
        OverviewRequest(EXPERIMENT), PROVENANCE, TOKENS, TOKENS, (), clean, corrupted, metrics, 3, 4
    )


CHARTS: dict[str, Callable[[Theme], Chart]] = {
    **{f"{unit} at one position": partial(attribution_chart, attribution(unit), -1) for unit in UNITS},
    **{f"{unit} everywhere": partial(attribution_chart, attribution(unit), None) for unit in UNITS},
    "path": partial(path_chart, path(), "effect"),
    "path, recovery": partial(path_chart, path(), "recovery"),
    "path, recovery not defined": partial(path_chart, path(clean=CORRUPTED), "recovery"),
    "all sources": partial(all_sources_chart, all_sources(), "effect"),
    "all sources, partly estimated": partial(all_sources_chart, all_sources(measured=0.4), "recovery"),
    "all sources of one layer": partial(all_sources_chart, all_sources(n_layers=1), "effect"),
    "predictions": partial(predictions_chart, overview()),
}
HEAT_MAPS = tuple(
    name for name in CHARTS if "everywhere" in name or "path" in name or "sources" in name or "head" in name
)


def views(chart: Chart) -> list[dict[str, Any]]:
    """The layers of a chart's specification, each with its rows under ``"rows"``."""
    spec = picture(chart, "light")
    whole = spec.get("data")
    return [
        view | {"rows": spec["datasets"][view.get("data", whole)["name"]]}
        for view in spec.get("layer", [spec])
    ]


def cells(chart: Chart) -> dict[str, Any]:
    """The view that draws the values."""
    (found,) = (view for view in views(chart) if "scale" in view["encoding"].get("color", {}))
    return found
