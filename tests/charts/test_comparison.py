"""Two results as they are drawn: every item in its place on both sides, on one scale, by its number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.charts import (
    MOST_POINTS,
    SIDES,
    Maps,
    Theme,
    comparison_maps_chart,
    comparison_scatter_chart,
    maps_chart,
    node_map_chart,
)
from analysis.charts.themes import PALETTES
from analysis.compare import Comparison, attribution_comparison
from tests.charts.drawn import Drawing, as_number, colour, drawing
from tests.charts.signed import coloured_by_value
from tests.charts.test_node_maps import N_HEADS, N_LAYERS, nodes


def comparison() -> Comparison:
    return attribution_comparison((nodes(), "clean", -1), (nodes(), "corrupted", -1))


def told(drawn: Drawing, measure: str = "logits") -> dict[tuple[str, str], float]:
    """Map and item -> the number that a pointer is told."""
    return {
        (mark.told["map"], mark.told["item"]): 0.0
        if mark.told[measure] == "below resolution"
        else as_number(mark.told[measure])
        for mark in drawn.of("rect", "item")
    }


def test_both_sides_and_their_difference_stand_side_by_side_with_their_own_numbers():
    found = comparison()
    drawn = drawing(comparison_maps_chart(found, "layer", "head"))
    values = dict(zip(SIDES, (found.a, found.b, found.difference), strict=True))
    assert told(drawn) == {
        (side, label): pytest.approx(value, abs=1e-4)
        for side, of_side in values.items()
        for label, value in zip(found.labels, of_side, strict=True)
    }
    place = {(mark.told["map"], mark.told["item"]): mark for mark in drawn.of("rect", "item")}
    for label in found.labels:
        a, b, difference = (place[side, label] for side in SIDES)
        assert a.y == b.y == difference.y and b.x - a.x == pytest.approx(difference.x - b.x, abs=1)
    assert drawn.left.nearest(place["A", "L2H1"].y) == "2"
    assert drawn.bottom.nearest(place["B", "L2H1"].x) == "1"
    titles = {mark.text: mark.x for mark in drawn.of("text") if mark.text in SIDES}
    assert titles["A"] < titles["B"] < titles[SIDES[2]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_three_are_on_one_colour_scale(theme: Theme):
    drawn = drawing(comparison_maps_chart(comparison(), "layer", "head", theme), theme)
    cells = [(as_number(mark.told["logits"]), mark) for mark in drawn.of("rect", "item")]
    coloured_by_value(cells, drawn.legend("logits"), theme)
    largest = max(abs(value) for value, _ in cells)
    assert as_number(drawn.legend("logits").labels[-1]) == pytest.approx(largest, rel=0.01)


def test_what_rounding_can_explain_is_told_so():
    found = replace(comparison(), resolutions=(0.0, 50.0))
    drawn = drawing(comparison_maps_chart(found, "layer", "head"))
    marks = {mark.told["map"]: mark for mark in drawn.of("rect", "item")}
    assert marks["B"].told["logits"] == marks[SIDES[2]].told["logits"] == "below resolution"
    assert as_number(marks["A"].told["logits"])


def test_every_item_is_a_point_at_its_two_values_and_the_largest_differences_are_named():
    found = comparison()
    drawn = drawing(comparison_scatter_chart(found))
    assert (drawn.bottom.title, drawn.left.title) == ("A (logits)", "B (logits)")
    seen: dict[str, object] = {}
    for mark in drawn.of("symbol", "item"):
        a, b, difference = (as_number(mark.told[side]) for side in SIDES)
        assert drawn.bottom.read(mark.x) == pytest.approx(a, abs=0.02)
        assert drawn.left.read(mark.y) == pytest.approx(b, abs=0.02)
        palette = PALETTES["light"]
        assert mark.fill == colour(palette.positive if difference > 0 else palette.negative)
        seen[mark.told["item"]] = (a, b, difference)
    values = zip(found.a, found.b, found.difference, strict=True)
    assert seen == {
        label: tuple(pytest.approx(value, abs=1e-4) for value in of_item)
        for label, of_item in zip(found.labels, values, strict=True)
    }
    named = {mark.text for mark in drawn.of("text")}
    assert found.labels[found.order[0]] in named and 1 <= len(named) <= 5 and named <= set(found.labels)


@pytest.mark.parametrize(
    ("crowd", "level", "side"), [(-0.5, -3.0, 1), (0.5, 3.0, -1)], ids=["on its left", "on its right"]
)
def test_a_name_stands_where_it_covers_no_other_point(crowd, level, side):
    a = np.array([0.0, crowd, crowd, crowd, -4.0, 4.0])
    b = np.array([level, level, level, level, -4.0, 4.0])
    labels = ("this", *"abc", "ends", "here")
    chart = comparison_scatter_chart(Comparison(labels, a, b, "logits"))
    assert "this" in {mark.text for mark in drawing(chart).of("text")}
    away = [layer.mark.dx for layer in chart.layer if layer.mark.type == "text" and len(layer.data)]
    assert len(away) == 1 and away[0] * side > 0


def test_of_very_many_points_the_largest_are_drawn():
    values = np.random.default_rng(0).normal(size=MOST_POINTS + 100)
    labels = tuple(map(str, range(len(values))))
    drawn = drawing(comparison_scatter_chart(Comparison(labels, values, values[::-1], "logits")))
    points = drawn.of("symbol", "item")
    assert len(points) == MOST_POINTS
    size = np.maximum(abs(values), abs(values[::-1]))
    assert {int(point.told["item"]) for point in points} == set(np.argsort(-size)[:MOST_POINTS].tolist())


def test_the_descriptions_tell_the_largest_difference():
    found = Comparison(("L0H1", "L0H2"), np.array([2.0, 1.0]), np.array([-1.0, 1.0]), "logits")
    said = comparison_scatter_chart(found).to_dict()["description"]
    assert said == ("2 items in A and B. Largest difference: L0H1 with +2 in A and \N{MINUS SIGN}1 in B.")
    nothing = Comparison((), np.empty(0), np.empty(0), "logits")
    assert comparison_scatter_chart(nothing).to_dict()["description"] == "There is nothing to compare."


def test_maps_wrap_and_each_stands_under_its_own_title():
    values = np.random.default_rng(1).normal(size=(5, N_LAYERS, N_HEADS))
    values[3, 1, 2] = np.nan
    names = [[f"L{layer}H{head}" for head in range(N_HEADS)] for layer in range(N_LAYERS)]
    titles = [f"prompt {number}" for number in range(1, 6)]
    rows, columns = [*map(str, range(N_LAYERS))], [*map(str, range(N_HEADS))]
    drawn = drawing(
        maps_chart(Maps(titles, values, rows, columns, "layer", "head", names, "logits"), 2, "Five maps.")
    )
    assert told(drawn) == {
        (title, names[row][column]): pytest.approx(values[index, row, column], abs=1e-4)
        for index, title in enumerate(titles)
        for row in range(N_LAYERS)
        for column in range(N_HEADS)
        if not np.isnan(values[index, row, column])
    }
    over = {mark.text: mark for mark in drawn.of("text") if mark.text in titles}
    for title in titles:
        cells = [mark for mark in drawn.of("rect", "item") if mark.told["map"] == title]
        left, right = min(mark.left for mark in cells), max(mark.right for mark in cells)
        assert over[title].x == pytest.approx((left + right) / 2, abs=1)
        assert over[title].y <= min(mark.top for mark in cells)
        others = [mark for mark in drawn.of("rect", "item") if mark.told["map"] != title]
        assert all(
            mark.right <= left
            or mark.left >= right
            or mark.bottom < over[title].y
            or mark.top > over[title].y
            for mark in others
        )


def test_maps_apart_can_share_one_scale():
    drawn = drawing(node_map_chart(nodes(), end=100.0))
    assert drawn.legend("logits").labels[-1] == "+100"


def test_narrow_maps_are_titled_by_their_last_word():
    values = np.ones((5, 2, 2))
    names = [["x", "y"], ["z", "u"]]
    titles = [f"prompt {number}" for number in range(1, 6)]
    chart = maps_chart(Maps(titles, values, "01", "01", "layer", "head", names, "logits"), 5, "")
    assert [mark.text for mark in drawing(chart, width=300).of("text") if mark.text.isdecimal()] == [*"12345"]
    assert {mark.text for mark in drawing(chart, width=700).of("text")} >= set(titles)
