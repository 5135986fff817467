"""What every chart must show, and what none may."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, get_args

import altair as alt
import numpy as np
import pandas as pd
import pytest

from analysis.charts import (
    METRIC_UNITS,
    Theme,
    all_sources_chart,
    attribution_chart,
    chart_png,
    chart_svg,
    path_chart,
    predictions_chart,
    shown_token,
)
from analysis.charts.export import picture
from analysis.charts.themes import PALETTES
from analysis.requests import (
    METRIC_NAMES,
    UNITS,
    AllSourcesRequest,
    AttributionRequest,
    Experiment,
    OverviewRequest,
    PathRequest,
    Unit,
)
from analysis.results import (
    AllSourcesResult,
    AttributionResult,
    OverviewResult,
    PathResult,
    Provenance,
    causal_edges,
    head_label,
)

THEMES: tuple[Theme, ...] = get_args(Theme)
EXPERIMENT = Experiment("demo", "When Mary", "When John", " Mary", " John")
PROVENANCE = Provenance("demo", "0" * 64, {}, "cpu", "float32", "replay", "2025-01-01", 0.1)
TOKENS = ("<|endoftext|>", "When", " Mary", "\n")
CORRUPTED, CLEAN = -2.0, 3.0

#: A complete sweep of twelve layers of twelve heads, as JSON with its data inside.
MOST_BYTES = 700_000

Chart = alt.Chart | alt.LayerChart


def all_sources(n_layers: int = 3, n_heads: int = 4, measured: float = 1.0) -> AllSourcesResult:
    generator = np.random.default_rng(0)
    causal = causal_edges(n_layers, n_heads)
    effect = np.where(causal, generator.normal(size=causal.shape), np.nan)
    exact = causal & (generator.random(causal.shape) < measured)
    values = np.where(exact, effect + CORRUPTED, np.nan)
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
    return AttributionResult(request, PROVENANCE, values, difference, 0.0, labels, TOKENS, 3, 4)


def overview() -> OverviewResult:
    clean = ((" Mary", 5.0, 0.7), (" John", 4.0, 0.2))
    corrupted = ((" John", 5.0, 0.6), ("\n", 3.0, 0.1))
    metrics = {"logit_difference": (CLEAN, CORRUPTED)}
    return OverviewResult(
        OverviewRequest(EXPERIMENT), PROVENANCE, TOKENS, TOKENS, clean, corrupted, metrics, 3, 4
    )


CHARTS: dict[str, Callable[[Theme], Chart]] = {
    **{
        f"{unit} at one position": lambda theme, unit=unit: attribution_chart(attribution(unit), -1, theme)
        for unit in UNITS
    },
    **{
        f"{unit} everywhere": lambda theme, unit=unit: attribution_chart(attribution(unit), None, theme)
        for unit in UNITS
    },
    "path": lambda theme: path_chart(path(), "effect", theme),
    "path, recovery": lambda theme: path_chart(path(), "recovery", theme),
    "path, recovery not defined": lambda theme: path_chart(path(clean=CORRUPTED), "recovery", theme),
    "all sources": lambda theme: all_sources_chart(all_sources(), "effect", theme),
    "all sources, partly estimated": lambda theme: all_sources_chart(
        all_sources(measured=0.4), "recovery", theme
    ),
    "all sources of one layer": lambda theme: all_sources_chart(all_sources(n_layers=1), "effect", theme),
    "predictions": lambda theme: predictions_chart(overview(), theme),
}
HEAT_MAPS = [
    name for name in CHARTS if "everywhere" in name or "path" in name or "all" in name or "head" in name
]


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


def nested(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from nested(item)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_valid_and_can_be_drawn(name: str, theme: Theme):
    chart = CHARTS[name](theme)
    assert chart_png(chart, theme).startswith(b"\x89PNG")
    svg = chart_svg(chart, theme)
    assert svg.startswith("<svg")
    assert f'fill="{PALETTES[theme].background}"' in svg


@pytest.mark.parametrize("name", CHARTS)
def test_no_number_in_a_specification_is_nan_or_infinite(name: str):
    numbers = [item for item in nested(picture(CHARTS[name]("light"), "light")) if isinstance(item, float)]
    assert all(map(math.isfinite, numbers))


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_describes_itself_and_has_no_title(name: str):
    spec = picture(CHARTS[name]("light"), "light")
    assert len(spec["description"]) > 20
    assert "title" not in spec


@pytest.mark.parametrize("name", CHARTS)
def test_tooltips_name_no_column_that_is_rendered_as_a_link_or_a_picture(name: str):
    for view in views(CHARTS[name]("light")):
        tooltip = view["encoding"].get("tooltip", [])
        fields = tooltip if isinstance(tooltip, list) else [tooltip]
        names = {channel["field"] for channel in fields} | {channel.get("title") for channel in fields}
        assert not names & {"image", "url"}


@pytest.mark.parametrize("name", HEAT_MAPS)
def test_a_signed_scale_reaches_as_far_below_zero_as_above(name: str):
    view = cells(CHARTS[name]("light"))
    scale = view["encoding"]["color"]["scale"]
    low, high = scale["domain"]
    assert low == -high < 0
    assert scale["domainMid"] == 0
    field = view["encoding"]["color"]["field"]
    assert all(abs(row[field]) <= high for row in view["rows"])


def test_identical_prompts_give_a_neutral_chart_and_no_error():
    result = path()
    flat = PathResult(
        result.request, PROVENANCE, CORRUPTED, CLEAN, TOKENS, TOKENS, result.values * 0 + CORRUPTED
    )
    view = cells(path_chart(flat))
    assert {row["value"] for row in view["rows"]} == {0.0}
    assert view["encoding"]["color"]["scale"]["domain"] == [-1.0, 1.0]


@pytest.mark.parametrize("scale", ["effect", "recovery"])
def test_cells_without_a_causal_path_have_no_value(scale):
    result = all_sources()
    rows = cells(all_sources_chart(result, scale))["rows"]
    drawn = {(row["sl"], row["sh"], row["dl"], row["dh"]) for row in rows}
    assert drawn == set(map(tuple, np.argwhere(result.causal).tolist()))
    destinations = {(row["dl"], row["dh"]) for row in cells(path_chart(path(1), scale))["rows"]}
    assert destinations == {(2, head) for head in range(4)}


def covered(chart: Chart) -> set[tuple[int, int]]:
    """Cells (across, down) under the grey areas."""
    (masked,) = (view for view in views(chart) if "fill" in view["encoding"])
    return {
        (x, y)
        for area in masked["rows"]
        for x in range(area["x"], area["x2"])
        for y in range(area["y"], area["y2"])
    }


@pytest.mark.parametrize("n_layers", [1, 2, 3, 5])
def test_the_grey_area_covers_exactly_the_drawn_cells_without_a_causal_path(n_layers: int):
    chart = all_sources_chart(all_sources(n_layers))
    encoding = cells(chart)["encoding"]
    (left, right), (top, bottom) = (encoding[axis]["scale"]["domain"] for axis in "xy")
    acausal = {(x, y) for x in range(left, right) for y in range(top, bottom) if x // 4 <= y // 4}
    assert covered(chart) == acausal
    (masked,) = (view for view in views(chart) if "fill" in view["encoding"])
    assert len(masked["rows"]) <= n_layers


@pytest.mark.parametrize("source_layer", [0, 1, 2])
def test_the_grey_area_of_one_source_is_one_mark_up_to_its_own_layer(source_layer: int):
    chart = path_chart(path(source_layer))
    assert covered(chart) == {(head, layer) for head in range(4) for layer in range(source_layer + 1)}
    (source,) = (view for view in views(chart) if "shape" in view["encoding"])
    assert [(row["x"], row["y"]) for row in source["rows"]] == [(2.5, source_layer + 0.5)]


def test_estimates_are_told_from_measurements_by_size_opacity_and_name():
    result = all_sources(measured=0.4)
    view = cells(all_sources_chart(result))
    for row in view["rows"]:
        edge = row["sl"], row["sh"], row["dl"], row["dh"]
        assert row["kind"] == ("measured" if result.exact[edge] else "estimated")
        assert row["value"] == pytest.approx(result.effect[edge], rel=1e-4)
    opacity = view["encoding"]["opacity"]["scale"]
    assert dict(zip(opacity["domain"], opacity["range"], strict=True))["estimated"] < 1
    assert all(
        "estimated" in step["calculate"] for step in view["transform"] if step["as"] in {"x", "x2", "y", "y2"}
    )
    assert "kind" in {channel["field"] for channel in view["encoding"]["tooltip"]}


def test_a_complete_sweep_says_nothing_of_estimates():
    view = cells(all_sources_chart(all_sources()))
    assert "estimated" not in json.dumps(view)


def test_a_large_sweep_draws_its_strongest_cells_and_says_so():
    result = all_sources()
    view = cells(all_sources_chart(result, most=10))
    strongest = result.table(10)[["sl", "sh", "dl", "dh"]].to_numpy().tolist()
    assert sorted([row[field] for field in ("sl", "sh", "dl", "dh")] for row in view["rows"]) == sorted(
        strongest
    )
    assert "the 10 strongest of 48 paths" in " ".join(view["encoding"]["x"]["title"])


@pytest.mark.parametrize(
    ("chart", "fields"),
    [(path_chart(path()), ["dl", "dh"]), (all_sources_chart(all_sources()), ["sl", "sh", "dl", "dh"])],
)
def test_a_click_selects_an_edge(chart: Chart, fields: list[str]):
    (parameter,) = picture(chart, "light")["params"]
    assert parameter["name"] == "edge"
    assert parameter["select"] == {"type": "point", "fields": fields}
    assert set(fields) <= set(cells(chart)["rows"][0])


def test_a_sweep_of_twelve_layers_of_twelve_heads_stays_small():
    spec = picture(all_sources_chart(all_sources(12, 12)), "light")
    assert sum(map(len, spec["datasets"].values())) < 9504 + 12 + 2 * 12
    assert len(json.dumps(spec, separators=(",", ":"))) < MOST_BYTES


def test_values_carry_five_significant_digits():
    for row in cells(all_sources_chart(all_sources()))["rows"]:
        assert float(f"{row['value']:.5g}") == row["value"]


def test_recovery_that_is_not_defined_is_said_and_not_drawn():
    view = cells(path_chart(path(clean=CORRUPTED), "recovery"))
    assert view["rows"] == []
    assert "not defined" in " ".join(view["encoding"]["x"]["title"])
    assert "recovery" not in {channel["field"] for channel in view["encoding"]["tooltip"]}


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_effects_carry_the_unit_of_their_metric(metric):
    result = all_sources()
    request = AllSourcesRequest(EXPERIMENT, metric=metric)
    other = AllSourcesResult(
        request, PROVENANCE, CORRUPTED, CLEAN, TOKENS, TOKENS, result.values, result.estimate
    )
    assert (
        cells(all_sources_chart(other))["encoding"]["color"]["legend"]["title"]
        == f"effect ({METRIC_UNITS[metric]})"
    )


def test_bars_stand_in_the_models_order_with_a_number_each():
    result = attribution("component")
    bars, zero, numbers = views(attribution_chart(result, 0))
    assert [row["component"] for row in bars["rows"]] == list(result.labels)
    assert bars["encoding"]["y"]["sort"] is None
    assert zero["rows"] == [{"zero": 0}]
    assert numbers["encoding"]["text"]["field"] == "attribution"


def test_the_heads_remainder_is_a_number_under_the_map_and_no_cell():
    result = attribution("head")
    view = cells(attribution_chart(result, 2))
    assert len(view["rows"]) == 12
    assert f"{result.attribution[-1, 2]:+.3f}" in view["encoding"]["x"]["title"][1]


def test_negative_positions_count_from_the_end():
    result = attribution("component")
    assert picture(attribution_chart(result, -1), "dark") == picture(attribution_chart(result, 3), "dark")


def test_a_token_of_one_list_only_gets_a_bound_and_no_bar():
    bars, numbers = views(predictions_chart(overview()))
    rows = {(row["token"], row["prompt"]): row for row in bars["rows"]}
    assert rows["⏎", "clean"]["probability"] is None
    assert rows["⏎", "clean"]["shown"] == "below 20.00%"
    assert {"filter": "isValid(datum.probability)"} in bars["transform"]
    assert rows["·Mary", "clean"]["label"] == "·Mary (answer)"


def test_different_tokens_that_look_alike_keep_their_own_bars():
    result = overview()
    alike = ((" a", 2.0, 0.5), ("·a", 1.0, 0.3))
    same = OverviewResult(result.request, PROVENANCE, TOKENS, TOKENS, alike, alike, result.metrics, 3, 4)
    assert len({row["label"] for row in views(predictions_chart(same))[0]["rows"]}) == 2


@pytest.mark.parametrize(
    ("token", "shown"), [(" Mary", "·Mary"), ("\n", "⏎"), ("<b>*_$x", "<b>*_$x"), ("Mary", "Mary")]
)
def test_only_whitespace_is_made_visible(token: str, shown: str):
    assert shown_token(token) == shown


def test_export_leaves_altairs_transformers_and_the_chart_alone():
    chart = all_sources_chart(all_sources(12, 12))
    active = alt.data_transformers.active
    chart_svg(chart, "light")
    assert alt.data_transformers.active == active
    assert any(isinstance(view.data, pd.DataFrame) for view in chart.layer)
