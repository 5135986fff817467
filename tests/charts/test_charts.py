"""What every chart must show, and what none may."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd
import pytest

from analysis.charts import (
    Theme,
    all_sources_chart,
    attribution_chart,
    chart_png,
    chart_svg,
    predictions_chart,
)
from analysis.charts.export import picture
from analysis.charts.themes import PALETTES
from analysis.labels import shown_token
from tests.chart_samples import (
    CHARTS,
    HEAT_MAPS,
    THEMES,
    all_sources,
    attribution,
    cells,
    overview,
    views,
)


def nested(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from nested(item)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_valid_and_can_be_drawn(name: str, theme: Theme):
    chart = CHARTS[name](theme)
    origin = {"model": "demo", "request": "word " * 60}
    assert chart_png(chart, theme, origin).startswith(b"\x89PNG")
    svg = chart_svg(chart, theme, origin)
    assert "model: demo" in svg and svg.count("word word") >= 3
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
    assert f"{result.attribution[-1, 2]:+.3f}" in view["encoding"]["x"]["title"][-1]


def test_negative_positions_count_from_the_end():
    result = attribution("component")
    assert picture(attribution_chart(result, -1), "dark") == picture(attribution_chart(result, 3), "dark")


def test_a_token_of_one_list_only_gets_a_bound_and_no_bar():
    bars = views(predictions_chart(overview()))[0]
    rows = {(row["token"], row["prompt"]): row for row in bars["rows"]}
    assert rows["⏎", "clean"]["probability"] is None
    assert rows["⏎", "clean"]["shown"] == "< 20.0%"
    assert {"filter": "isValid(datum.probability)"} in bars["transform"]
    assert rows["·Mary", "clean"]["label"] == "·Mary (answer)"


def test_different_tokens_that_look_alike_keep_their_own_bars():
    alike = ((" a", 2.0, 0.5), ("·a", 1.0, 0.3))
    same = replace(overview(), clean_top=alike, corrupted_top=alike)
    assert len({row["label"] for row in views(predictions_chart(same))[0]["rows"]}) == 2


@pytest.mark.parametrize(
    ("token", "shown"), [(" Mary", "·Mary"), ("\n", "⏎"), ("<b>*_$x", "<b>*_$x"), ("Mary", "Mary")]
)
def test_only_whitespace_is_made_visible(token: str, shown: str):
    assert shown_token(token) == shown


def test_export_leaves_altairs_transformers_and_the_chart_alone():
    chart = all_sources_chart(all_sources(12, 12))
    active = alt.data_transformers.active
    chart_svg(chart, "light", {})
    assert alt.data_transformers.active == active
    assert any(isinstance(view.data, pd.DataFrame) for view in chart.layer)
