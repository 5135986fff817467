"""A chart is drawn once for the same content, anew for any other, and is what Vega-Lite takes."""

from __future__ import annotations

from dataclasses import replace

import altair as alt
import numpy as np
import pytest
from streamlit.elements.vega_charts import _convert_altair_to_vega_lite_spec as drawn_by_streamlit

from analysis.charts import path_chart
from analysis.charts.once import MOST_KEPT, drawn_once
from tests.chart_samples import CHARTS, THEMES, path


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", CHARTS)
def test_the_schema_that_pages_leave_out_is_kept(name: str, theme: str):
    CHARTS[name](theme).to_dict(validate=True)


@pytest.mark.parametrize("name", CHARTS)
def test_what_streamlit_is_given_is_made_once_and_is_what_altair_makes(monkeypatch, name: str):
    chart = CHARTS[name]("light")
    whole = alt.LayerChart.from_dict(chart.to_dict(validate=True)).to_dict()
    first, second = drawn_by_streamlit(chart), drawn_by_streamlit(chart)
    assert first == second and first["datasets"]
    first["layer"].clear()
    monkeypatch.setattr(alt.LayerChart, "to_dict", lambda *_, **__: pytest.fail("it was made again"))
    assert drawn_by_streamlit(chart) == second, "what a page does with one is not seen in the next"
    for kept, part in zip(second["layer"], whole["layer"], strict=True):
        assert part.get("encoding") == kept.get("encoding") and part["mark"] == kept["mark"]


def test_equal_content_is_drawn_once_and_any_other_anew():
    first = path_chart(path(), "effect", "light")
    assert path_chart(path(), "effect", "light") is first
    assert path_chart(path(), "effect", "dark") is not first
    assert path_chart(path(), "recovery", "light") is not first
    values = path().values.copy()
    values[np.isfinite(values)] += 1e-12
    assert path_chart(replace(path(), values=values), "effect", "light") is not first


def test_values_that_look_alike_are_told_apart():
    drawn: list[tuple] = []

    @drawn_once
    def draw(*told: object) -> alt.LayerChart:
        drawn.append(told)
        return alt.LayerChart(layer=[])

    zeros = np.zeros(2)
    told = [
        (1,), ("1",), (1.0,), (True,), (None,), ((1,),), ([1],), (1, 1), ((1, 1),), ("1, 1",), ({1: 1},),
        (zeros,), (np.zeros((2, 1)),), (np.zeros(4, np.float32),), (-zeros,), (np.zeros(2, np.int64),),
    ]  # fmt: skip
    for arguments in told * 2:
        draw(*arguments)
    assert len(drawn) == len(told)
    with pytest.raises(TypeError, match="A chart of object"):
        draw(object())


def test_only_the_last_ones_are_kept():
    drawn: list[int] = []

    @drawn_once
    def draw(number: int) -> alt.LayerChart:
        drawn.append(number)
        return alt.LayerChart(layer=[])

    for number in range(MOST_KEPT + 1):
        draw(number)
    draw(MOST_KEPT)
    assert len(drawn) == MOST_KEPT + 1
    draw(0)
    assert drawn[-1] == 0
