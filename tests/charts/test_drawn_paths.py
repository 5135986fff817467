"""Path effects as drawn: every cell's place, colour, number and tooltip is its own in the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from analysis.charts import Theme, all_sources_chart, path_chart
from analysis.requests import METRIC_NAMES, MetricName
from analysis.results import AllSourcesResult, EffectScale, PathResult
from tests.chart_samples import CORRUPTED, THEMES, all_sources
from tests.charts.drawn import Drawing, Mark, as_number, contrast, drawing
from tests.charts.signed import coloured_by_value

N_LAYERS, N_HEADS = 4, 3
SOURCE = (1, 2)
UNITS = {
    "logit_difference": "logits",
    "answer_log_probability": "nats",
    "answer_probability": "probability",
    "kl_from_clean": "nats",
}
#: Clean values above and below the corrupted one: recovery has the sign of the effect, or the other.
CLEAN = {"above": CORRUPTED + 5, "below": CORRUPTED - 2.5}
SCALES: tuple[EffectScale, ...] = ("effect", "recovery")
Edge = tuple[int, int, int, int]


@cache
def every(
    clean: str = "below", measured: float = 1.0, metric: MetricName = "logit_difference"
) -> AllSourcesResult:
    sample = all_sources(N_LAYERS, N_HEADS, measured)
    return replace(sample, clean_metric=CLEAN[clean], request=replace(sample.request, metric=metric))


@cache
def one(clean: str = "below", metric: MetricName = "logit_difference") -> PathResult:
    return every(clean, metric=metric).single_source(*SOURCE)


def head(label: str) -> tuple[int, int]:
    layer, head_ = label.removeprefix("L").split("H")
    return int(layer), int(head_)


def cells(picture: Drawing) -> dict[Edge, Mark]:
    """Every drawn cell by the edge that its tooltip names."""
    marks = picture.of("rect", "source", "destination")
    found = {(*head(mark.told["source"]), *head(mark.told["destination"])): mark for mark in marks}
    assert len(found) == len(marks)
    return found


def effects(result: PathResult | AllSourcesResult) -> dict[Edge, float]:
    """Effect by edge, straight from the numbers that were measured or estimated."""
    values = np.full((N_LAYERS, N_HEADS, N_LAYERS, N_HEADS), np.nan)
    estimate = values
    if isinstance(result, AllSourcesResult):
        values, estimate = result.values, result.estimate
    else:
        values[SOURCE] = result.values
    found: dict[Edge, float] = {}
    for sl, sh, dl, dh in np.ndindex(*values.shape):
        measured, estimated = float(values[sl, sh, dl, dh]), float(estimate[sl, sh, dl, dh])
        if sl < dl and not np.isnan([measured, estimated]).all():
            found[sl, sh, dl, dh] = estimated if np.isnan(measured) else measured - CORRUPTED
    return found


def recovered(effect: float, result: PathResult | AllSourcesResult) -> float:
    """On the scale 0 = corrupted run, 1 = clean run."""
    return effect / (result.clean_metric - CORRUPTED)


@cache
def draw(result: PathResult | AllSourcesResult, scale: EffectScale, theme: Theme = "light") -> Drawing:
    if isinstance(result, PathResult):
        return drawing(path_chart(result, scale, theme), theme)
    return drawing(all_sources_chart(result, scale, theme), theme)


SAMPLES: dict[str, Callable[[str], PathResult | AllSourcesResult]] = {
    "one source": one,
    "every source": every,
    "every source, partly estimated": lambda clean: every(clean, 0.4),
}


@pytest.mark.parametrize("clean", CLEAN)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", SAMPLES)
def test_every_tooltip_names_an_edge_with_its_own_effect_and_recovery(name, scale, clean):
    result = SAMPLES[name](clean)
    found, expected = cells(draw(result, scale)), effects(result)
    assert found.keys() == expected.keys()
    for edge, mark in found.items():
        assert as_number(mark.told["effect (logits)"]) == pytest.approx(expected[edge], abs=2e-4)
        recovery = recovered(expected[edge], result)
        assert as_number(mark.told["recovery"]) == pytest.approx(recovery, abs=2e-4)
        assert mark.told["recovery"][0] in "+\N{MINUS SIGN}"


@pytest.mark.parametrize("name", SAMPLES)
def test_every_cell_stands_where_the_axes_name_its_heads(name):
    picture = draw(SAMPLES[name]("above"), "effect")
    for (sl, sh, dl, dh), mark in cells(picture).items():
        if name == "one source":
            assert picture.place(mark) == (str(dl), str(dh))
        else:
            assert picture.place(mark) == (f"L{sl}H{sh}", f"L{dl}H{dh}")
    titles = {"one source": ("destination layer", "destination head")}
    assert (picture.left.title, picture.bottom.title) == titles.get(name, ("source head", "destination head"))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_click_on_a_cell_selects_the_edge_that_its_tooltip_names(name):
    for (sl, sh, dl, dh), mark in cells(draw(SAMPLES[name]("above"), "effect")).items():
        source = {} if name == "one source" else {"sl": sl, "sh": sh}
        assert mark.edge == {**source, "dl": dl, "dh": dh}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", SAMPLES)
def test_every_cell_is_coloured_by_its_own_value_on_the_scale_that_is_shown(name, scale, theme):
    result = SAMPLES[name]("below")
    picture, expected = draw(result, scale, theme), effects(result)
    shown = {
        edge: effect if scale == "effect" else recovered(effect, result) for edge, effect in expected.items()
    }
    title = "recovery" if scale == "recovery" else "effect (logits)"
    found = [(shown[edge], mark) for edge, mark in cells(picture).items()]
    coloured_by_value(found, picture.legend(title), theme)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scale", SCALES)
def test_strong_cells_of_one_source_carry_their_number_readably(scale, theme):
    result = one()
    picture, marks = draw(result, scale, theme), cells(draw(result, scale, theme))
    shown = {
        edge: effect if scale == "effect" else recovered(effect, result)
        for edge, effect in effects(result).items()
    }
    end = max(map(abs, shown.values()))
    strong = {edge: value for edge, value in shown.items() if abs(value) > 0.05 * end}
    numbers = {picture.place(mark): mark for mark in picture.of("text")}
    assert len(numbers) == len(picture.of("text")) == len(strong)
    for edge, value in strong.items():
        number = numbers[str(edge[2]), str(edge[3])]
        assert as_number(number.text) == pytest.approx(value, abs=0.051 * end)
        assert contrast(number.fill, marks[edge].fill) >= 4.5


def test_one_source_is_marked_at_its_own_head_and_named():
    picture = draw(one(), "effect")
    (mark,) = picture.of("symbol")
    assert picture.place(mark) == ("1", "2")
    assert mark.told == {"": "source L1H2"}
    assert ("source L1H2",) in [legend.labels for legend in picture.legends]


@pytest.mark.parametrize("name", SAMPLES)
def test_grey_is_named_and_lies_under_no_cell(name):
    picture = draw(SAMPLES[name]("above"), "effect")
    grey = [mark for mark in picture.of("rect", "") if mark.told[""] == "no causal path"]
    assert grey
    named = next(legend for legend in picture.legends if legend.labels == ("no causal path",))
    for area in grey:
        assert area.fill == named.colours[0]
        assert not any(
            area.left < cell.x < area.right and area.top < cell.y < area.bottom
            for cell in cells(picture).values()
        )


@pytest.mark.parametrize("scale", SCALES)
def test_estimates_are_named_smaller_and_paler_than_what_is_measured(scale):
    result = every(measured=0.4)
    kinds: dict[str, set[tuple[float, bool]]] = {"measured": set(), "estimated": set()}
    found = cells(draw(result, scale))
    widest = max(mark.right - mark.left for mark in found.values())
    for edge, mark in found.items():
        assert mark.told["kind"] == ("estimated" if np.isnan(result.values[edge]) else "measured")
        kinds[mark.told["kind"]].add((mark.opacity, mark.right - mark.left > 0.9 * widest))
    assert kinds == {"measured": {(1, True)}, "estimated": {(0.6, False)}}


def test_the_strongest_cells_of_too_many_are_drawn_at_their_own_places():
    result = every()
    picture = drawing(all_sources_chart(result, most=7))
    expected = effects(result)
    strongest = sorted(expected, key=lambda edge: -abs(expected[edge]))[:7]
    found = cells(picture)
    assert {*found} == {*strongest}
    for (sl, sh, dl, dh), mark in found.items():
        assert picture.place(mark) == (f"L{sl}H{sh}", f"L{dl}H{dh}")
        assert as_number(mark.told["effect (logits)"]) == pytest.approx(expected[sl, sh, dl, dh], abs=2e-4)
    coloured_by_value(
        [(expected[edge], mark) for edge, mark in found.items()], picture.legend("effect (logits)"), "light"
    )


def test_a_long_axis_names_the_layers_of_its_cells():
    picture = drawing(all_sources_chart(all_sources(5, 12)))
    assert [label for label, _ in picture.bottom.labels] == ["L1", "L2", "L3", "L4"]
    for (sl, _, dl, _), mark in cells(picture).items():
        assert picture.place(mark) == (f"L{sl}", f"L{dl}")


@pytest.mark.parametrize("metric", METRIC_NAMES)
@pytest.mark.parametrize("sample", [one, every])
def test_an_effect_is_given_in_the_unit_of_its_metric(sample, metric):
    title = f"effect ({UNITS[metric]})"
    picture = draw(sample(metric=metric), "effect")
    picture.legend(title)
    assert all(title in mark.told for mark in cells(picture).values())


@pytest.mark.parametrize(("width", "named"), [(720, 13), (300, 6), (150, 4)])
def test_the_layers_of_a_long_axis_are_thinned_until_their_names_stand_apart(width, named):
    places = [at for _, at in drawing(all_sources_chart(all_sources(14, 4)), width=width).bottom.labels]
    assert len(places) == named
    assert min(np.diff(places)) >= 25
