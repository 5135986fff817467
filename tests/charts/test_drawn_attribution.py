"""Attribution as drawn: every bar, point and cell is its own component's, in logits, with its sign."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from analysis.charts import Theme, attribution_chart
from analysis.labels import shown_token
from analysis.requests import UNITS, Unit
from tests.chart_samples import THEMES, TOKENS, attribution
from tests.charts.drawn import Drawing, Mark, as_number, contrast, drawing
from tests.charts.signed import coloured_by_value, warmth

N_LAYERS, N_HEADS = 3, 4
POSITION = 2


def values(unit: Unit, position: int = POSITION) -> dict[str, float]:
    """Attribution by component, straight from the result."""
    result = attribution(unit)
    return dict(zip(result.labels, result.attribution[:, position], strict=True))


@cache
def draw(unit: Unit, position: int | None = POSITION, theme: Theme = "light") -> Drawing:
    return drawing(attribution_chart(attribution(unit), position, theme), theme)


def by_component(picture: Drawing, kind: str) -> dict[str, Mark]:
    marks = picture.of(kind, "component", "logits")
    found = {mark.told["component"]: mark for mark in marks}
    assert len(found) == len(marks)
    return found


def tells(mark: Mark, value: float) -> bool:
    return as_number(mark.told["logits"]) == pytest.approx(value, abs=1e-4)


def test_every_drawing_names_its_quantity_and_logits():
    assert draw("component").bottom.title == "direct attribution (logits)"
    trajectory = draw("layer")
    assert trajectory.left.title == "logit difference written so far (logits)"
    assert trajectory.bottom.title == "residual stream at"
    for unit, position in (*((unit, None) for unit in UNITS), ("head", POSITION)):
        (legend,) = draw(unit, position).legends
        assert legend.title == "logits"
    for unit in UNITS:
        assert draw(unit, None).bottom.title == "position and token"


@pytest.mark.parametrize("theme", THEMES)
def test_a_bar_reaches_from_zero_to_its_components_attribution(theme):
    picture, expected = draw("component", theme=theme), values("component")
    bars = by_component(picture, "rect")
    assert "logits" in picture.bottom.title
    assert bars.keys() == expected.keys()
    for component, bar in bars.items():
        value = expected[component]
        assert picture.left.nearest(bar.y) == component
        ends = sorted((0.0, value))
        assert [picture.bottom.read(bar.left), picture.bottom.read(bar.right)] == pytest.approx(
            ends, abs=1e-3
        )
        assert np.sign(warmth(bar.fill, theme)) == np.sign(value)
        assert tells(bar, value)
    assert {np.sign(value) for value in expected.values()} == {-1, 1}


def test_the_number_of_a_bar_stands_beside_it_and_is_its_value():
    picture, expected = draw("component"), values("component")
    numbers = {picture.left.nearest(mark.y): mark for mark in picture.of("text")}
    assert numbers.keys() == expected.keys()
    for component, number in numbers.items():
        assert as_number(number.text) == pytest.approx(expected[component], abs=0.006)
        assert picture.bottom.read(number.x) == pytest.approx(expected[component], abs=1e-3)


@pytest.mark.parametrize("width", [160, 720])
def test_the_number_of_a_bar_stays_within_the_plot(width):
    numbers = drawing(attribution_chart(attribution("component"), POSITION), width=width).of("text")
    assert {as_number(number.text) < 0 for number in numbers} == {True, False}
    assert all(35 <= number.x <= width - 35 for number in numbers)


def test_zero_is_a_line_across_the_bars():
    picture = draw("component")
    (zero,) = picture.of("rule")
    assert picture.bottom.read(zero.x) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("theme", THEMES)
def test_the_trajectory_goes_through_every_stage_at_its_own_height(theme):
    picture, expected = draw("layer", theme=theme), values("layer")
    assert "logits" in picture.left.title
    points = by_component(picture, "symbol")
    assert list(points) == list(expected)
    for stage, point in points.items():
        assert picture.bottom.nearest(point.x) == stage
        assert picture.left.read(point.y) == pytest.approx(expected[stage], abs=1e-3)
        assert np.sign(warmth(point.fill, theme)) == np.sign(expected[stage])
        assert tells(point, expected[stage])
    line = [(mark.x, mark.y) for mark in picture.of("line")]
    assert line[: len(points)] == [(point.x, point.y) for point in points.values()]
    lens = line[len(points) :]
    assert [picture.bottom.nearest(x) for x, _ in lens] == list(expected)
    for (_, y), value in zip(lens, attribution("layer").lens[:, POSITION], strict=True):
        assert picture.left.read(y) == pytest.approx(value, abs=1e-3)
    last, name = sorted(picture.of("text"), key=lambda text: "lens" in text.text)
    assert name.text == "logit lens, norm recomputed"
    assert picture.bottom.nearest(last.x) == "final_post"
    assert as_number(last.text) == pytest.approx(expected["final_post"], abs=0.006)


@pytest.mark.parametrize("theme", THEMES)
def test_every_head_stands_in_its_layer_with_its_own_value(theme):
    picture, expected = draw("head", theme=theme), values("head")
    remainder = expected.pop("remainder")
    marks = by_component(picture, "rect")
    assert marks.keys() == expected.keys()
    for label, mark in marks.items():
        layer, head = picture.place(mark)
        assert label == f"L{layer}H{head}"
        assert tells(mark, expected[label])
    coloured_by_value(
        [(expected[label], mark) for label, mark in marks.items()], picture.legend("logits"), theme
    )
    assert (picture.left.title, picture.bottom.title.split()[0]) == ("layer", "head")
    assert picture.bottom.title.endswith(f"{remainder:+.3f} logits")


def test_the_numbers_of_the_heads_are_left_out_where_they_would_touch():
    chart = attribution_chart(attribution("head"), POSITION)
    length = 7 * max(len(number.text) for number in drawing(chart).of("text"))
    assert drawing(chart, width=N_HEADS * length).of("text")
    assert not drawing(chart, width=N_HEADS * (length - 1)).of("text")


@pytest.mark.parametrize("theme", THEMES)
def test_the_numbers_of_the_heads_are_their_own_and_readable(theme):
    picture, expected = draw("head", theme=theme), values("head")
    marks = by_component(picture, "rect")
    numbers = picture.of("text")
    assert len(numbers) > 6
    for number in numbers:
        layer, head = picture.place(number)
        label = f"L{layer}H{head}"
        assert as_number(number.text) == pytest.approx(expected[label], abs=0.051)
        assert contrast(number.fill, marks[label].fill) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("unit", UNITS)
def test_every_position_has_its_own_column_of_components(unit, theme):
    picture = draw(unit, None, theme)
    marks = picture.of("rect", "component", "at", "logits")
    result = attribution(unit)
    assert len(marks) == result.attribution.size
    columns = [f"{position} {shown_token(token)}" for position, token in enumerate(TOKENS)]
    found = []
    for mark in marks:
        assert picture.place(mark) == (mark.told["component"], mark.told["at"])
        value = values(unit, columns.index(mark.told["at"]))[mark.told["component"]]
        assert tells(mark, value)
        found.append((value, mark))
    assert len({(mark.told["component"], mark.told["at"]) for mark in marks}) == len(marks)
    coloured_by_value(found, picture.legend("logits"), theme)
    assert picture.bottom.title == "position and token"
