"""What rounding cannot tell from zero is drawn as nothing, and said to be below the resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest

from analysis.charts import all_sources_chart, attribution_chart, path_chart
from analysis.charts.export import picture
from analysis.charts.themes import PALETTES
from analysis.requests import UNITS, Unit
from analysis.results import AllSourcesResult, AttributionResult, EffectScale, PathResult, Result
from tests.chart_samples import CORRUPTED, Chart, all_sources, attribution, path
from tests.charts.drawn import Drawing, Mark, as_number, colour, drawing

R = TypeVar("R", bound=Result)
NEUTRAL = colour(PALETTES["light"].neutral)
SAID = "below resolution"
#: Between the smallest and the largest of the samples' values, which are about one.
MIDDLE = 0.7
SCALES: tuple[EffectScale, ...] = ("effect", "recovery")


def resolved(result: R, resolution: float | None) -> R:
    return replace(result, provenance=replace(result.provenance, resolution=resolution))


def one(resolution: float) -> PathResult:
    return resolved(path(0), resolution)


def every(resolution: float, measured: float = 1.0) -> AllSourcesResult:
    return resolved(all_sources(measured=measured), resolution)


def attributed(unit: Unit, resolution: float, factor: float = 1.0) -> AttributionResult:
    result = attribution(unit)
    return resolved(replace(result, attribution=factor * result.attribution), resolution)


def effects(result: PathResult | AllSourcesResult) -> np.ndarray:
    values = result.values - CORRUPTED
    if isinstance(result, AllSourcesResult):
        values = np.where(np.isnan(values), result.estimate, values)
    return values[np.isfinite(values)]


def told(picture: Drawing, title: str) -> list[Mark]:
    return [mark for mark in picture.marks if title in mark.told and mark.kind in ("rect", "symbol")]


PATHS: dict[str, tuple[Callable[[float], Any], Callable[..., Chart]]] = {
    "one source": (one, path_chart),
    "every source": (every, all_sources_chart),
    "partly estimated": (lambda resolution: every(resolution, 0.4), all_sources_chart),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PATHS)
def test_small_effects_of_paths_are_neutral_and_their_tooltips_say_why(name: str, scale: EffectScale):
    sample, chart = PATHS[name]
    result = sample(MIDDLE)
    marks = told(drawing(chart(result, scale)), "effect (logits)")
    quiet = [mark for mark in marks if mark.told["effect (logits)"] == SAID]
    size = np.abs(effects(result))
    assert 0 < len(quiet) == (size < MIDDLE).sum() < len(marks) == len(size)
    assert all(mark.told["recovery"] == SAID and mark.fill == NEUTRAL for mark in quiet)
    for mark in marks:
        if mark not in quiet:
            assert abs(as_number(mark.told["effect (logits)"])) >= MIDDLE
            assert mark.fill != NEUTRAL


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PATHS)
def test_a_scale_ends_at_the_resolution_where_nothing_is_above_it(name: str, scale: EffectScale):
    sample, chart = PATHS[name]
    result = sample(100.0)
    picture_ = drawing(chart(result, scale))
    legend = picture_.legend("effect (logits)" if scale == "effect" else "recovery")
    least = 100.0 if scale == "effect" else 100.0 / abs(result.clean_metric - CORRUPTED)
    assert as_number(legend.labels[-1]) == pytest.approx(least)
    assert all(mark.fill == NEUTRAL for mark in told(picture_, "effect (logits)"))
    assert not picture_.of("text")


def test_a_little_more_than_the_resolution_is_shown_at_its_full_size():
    result = one(MIDDLE)
    marks = told(drawing(path_chart(result)), "effect (logits)")
    loud = sorted(as_number(mark.told["effect (logits)"]) for mark in marks if mark.told["recovery"] != SAID)
    expected = sorted(value for value in effects(result) if abs(value) >= MIDDLE)
    assert loud == pytest.approx(expected, abs=1e-4)


def test_numbers_in_cells_below_the_resolution_are_left_out():
    numbers = drawing(path_chart(one(MIDDLE))).of("text")
    assert len(numbers) == (np.abs(effects(one(MIDDLE))) >= MIDDLE).sum()
    assert all(abs(as_number(number.text)) >= MIDDLE - 0.05 for number in numbers)


@pytest.mark.parametrize("position", [1, None])
@pytest.mark.parametrize("unit", UNITS)
def test_small_attributions_are_neutral_and_their_tooltips_say_why(unit: Unit, position: int | None):
    result = attributed(unit, MIDDLE)
    marks = told(drawing(attribution_chart(result, position)), "logits")
    values = result.attribution if position is None else result.attribution[:, position]
    if unit == "head" and position is not None:
        values = values[:12]
    quiet = [mark for mark in marks if mark.told["logits"] == SAID]
    assert 0 < len(quiet) == (np.abs(values) < MIDDLE).sum() < len(marks)
    is_map = position is None or unit == "head"
    no_sign = NEUTRAL if is_map else colour(PALETTES["light"].muted)
    assert {mark.fill for mark in quiet} == {no_sign}
    assert no_sign not in {mark.fill for mark in marks if mark not in quiet}


@pytest.mark.parametrize("position", [1, None])
@pytest.mark.parametrize("unit", UNITS)
def test_noise_alone_makes_no_picture(unit: Unit, position: int | None):
    # The lens recomputes the norm: it is not what is told from rounding here.
    result = replace(attributed(unit, 1e-3, factor=1e-5), lens=np.empty((0, 0)))
    picture_ = drawing(attribution_chart(result, position))
    marks = told(picture_, "logits")
    assert marks and {mark.told["logits"] for mark in marks} == {SAID}
    assert not picture_.of("text")
    if picture_.legends:
        assert as_number(picture_.legend("logits").labels[-1]) >= 1e-3
    elif unit == "component":
        assert {mark.right - mark.left for mark in marks} == {0}
    else:
        assert len({mark.y for mark in marks}) == 1
    assert f"All are {SAID}" in picture(attribution_chart(result, position), "light")["description"]


def test_a_remainder_below_the_resolution_is_no_number():
    assert SAID in drawing(attribution_chart(attributed("head", 1e-3, factor=1e-5), 1)).bottom.title
    assert SAID not in drawing(attribution_chart(attributed("head", 1e-3), 1)).bottom.title


@pytest.mark.parametrize("chart", [path_chart(one(100.0)), all_sources_chart(every(100.0))])
def test_a_screen_reader_is_told_that_nothing_stands_out(chart: Chart):
    assert f"effects are {SAID}" in picture(chart, "light")["description"]


@pytest.mark.parametrize("resolution", [None, 0.0])
def test_zero_is_a_number_where_it_is_exact(resolution: float | None):
    result = resolved(path(0), resolution)
    flat = replace(result, values=result.values * 0 + CORRUPTED)
    marks = told(drawing(path_chart(flat)), "effect (logits)")
    assert {(mark.told["effect (logits)"], mark.told["recovery"]) for mark in marks} == {
        ("+0.0000", "+0.00%")
    }
