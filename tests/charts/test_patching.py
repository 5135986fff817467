"""Charts of path effects: what was not measured is never zero, and an estimate never looks measured."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from analysis.charts import all_sources_chart, path_chart
from analysis.charts.export import picture
from analysis.requests import METRIC_NAMES, METRIC_UNITS
from analysis.results import AllSourcesRequest, AllSourcesResult, PathResult
from tests.chart_samples import (
    CLEAN,
    CORRUPTED,
    EXPERIMENT,
    PROVENANCE,
    TOKENS,
    Chart,
    all_sources,
    cells,
    path,
    views,
)

#: A complete sweep of twelve layers of twelve heads, as JSON with its data inside.
MOST_BYTES = 700_000


def test_identical_prompts_give_a_neutral_chart_and_no_error():
    result = path()
    flat = PathResult(
        result.request, PROVENANCE, CORRUPTED, CORRUPTED, TOKENS, TOKENS, result.values * 0 + CORRUPTED
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
def test_the_map_of_one_source_begins_with_its_own_layer_in_grey(source_layer: int):
    chart = path_chart(path(source_layer))
    assert covered(chart) == {(head, 0) for head in range(4)}
    (source,) = (view for view in views(chart) if "shape" in view["encoding"])
    assert [(row["x"], row["y"]) for row in source["rows"]] == [(2.5, 0.5)]
    (labels,) = {row["dl"] - row["down"] for row in cells(chart)["rows"]} or {source_layer}
    assert labels == source_layer


def test_estimates_are_told_from_measurements_by_size_opacity_and_name():
    result = all_sources(measured=0.4)
    view = cells(all_sources_chart(result))
    for row in view["rows"]:
        edge = row["sl"], row["sh"], row["dl"], row["dh"]
        assert row["kind"] == ("measured" if result.measured[edge] else "estimated")
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
    parameter = picture(chart, "light")["params"][0]
    assert parameter["name"] == "edge"
    select = parameter["select"]
    assert (select["type"], select["fields"]) == ("point", fields)
    assert set(fields) <= set(cells(chart)["rows"][0])


def test_only_the_data_change_while_a_sweep_fills_so_that_the_browser_keeps_its_zoom():
    def drawing(measured: float) -> str:
        spec = picture(all_sources_chart(all_sources(measured=measured)), "light")
        del spec["datasets"]
        # Altair names a view by its data; Streamlit names it anew before it is compared.
        return re.sub(r"view_[0-9a-f]+", "view", json.dumps(spec))

    assert drawing(0.0) != drawing(1.0)
    assert drawing(0.2) == drawing(0.4) == drawing(0.8)


@pytest.mark.parametrize("n_heads", [12, 13])
def test_a_long_axis_names_layers_in_their_middle_and_heads_when_it_is_near(n_heads: int):
    axis = cells(all_sources_chart(all_sources(5, n_heads)))["encoding"]["x"]["axis"]
    heads = [n_heads + head + 0.5 for head in range(4 * n_heads)]
    layers = [(layer + 0.5) * n_heads for layer in range(1, 5)]
    assert axis["values"] == sorted({*heads, *layers})
    assert axis["labelExpr"].startswith("span(domain('x')) <= 10 ? ")


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
