"""What moves hardly any of the difference looks pale and says so, on every map by one rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from analysis.charts import (
    all_sources_chart,
    attribution_chart,
    head_paths_chart,
    node_map_chart,
    node_positions_chart,
    path_chart,
    source_map_chart,
)
from analysis.charts.themes import PALETTES
from analysis.results import KnownPaths
from tests.chart_samples import CLEAN, CORRUPTED, Chart, all_sources, attribution, path
from tests.charts.drawn import Drawing, as_number, colour, distance, drawing
from tests.charts.test_node_maps import head_paths, nodes
from tests.pages.stored_results import the_estimates

NEUTRAL = colour(PALETTES["light"].neutral)
SAID = "reaches 1 % of the difference, where the scale ends: colours are pale"


def scaled(effect: np.ndarray, largest: float) -> np.ndarray:
    """`effect` of which the largest is `largest`."""
    return effect / np.nanmax(np.abs(effect)) * largest


def of_path(largest: float, scale: str) -> Chart:
    result = path(0)
    values = CORRUPTED + scaled(result.effect, largest * (CLEAN - CORRUPTED))
    return path_chart(replace(result, values=values), scale)


def of_all_sources(largest: float, scale: str) -> Chart:
    result = all_sources()
    values = CORRUPTED + scaled(result.effect, largest * (CLEAN - CORRUPTED))
    return all_sources_chart(replace(result, values=values), scale)


def of_a_head(largest: float, scale: str) -> Chart:
    result = head_paths()
    span = result.clean_metric - result.corrupted_metric
    return head_paths_chart(replace(result, effect=scaled(result.effect, largest * span)), "source", scale)


def of_sources(largest: float, scale: str) -> Chart:
    result = the_estimates()
    span = result.clean_metric - result.corrupted_metric
    estimates = replace(result, estimate=scaled(result.estimate, largest * span))
    return source_map_chart(KnownPaths.of(estimates), scale)


PATHS: dict[str, tuple[Callable[[float, str], Chart], float]] = {
    "one source": (of_path, CLEAN - CORRUPTED),
    "all sources": (of_all_sources, CLEAN - CORRUPTED),
    "all of a head": (of_a_head, 8.0),
    "map of sources": (of_sources, 5.75),
}


def cells(drawn: Drawing) -> list[float]:
    """How far the colour of each cell is from no effect at all."""
    return [
        distance(mark.fill, NEUTRAL)
        for mark in drawn.of("rect", "source", "destination")
        if mark.fill is not None
    ]


@pytest.mark.parametrize("scale", ["effect", "recovery"])
@pytest.mark.parametrize("name", PATHS)
def test_paths_that_move_hardly_anything_look_pale_and_say_so(name: str, scale: str):
    chart, movable = PATHS[name]
    title = "recovery" if scale == "recovery" else "effect (logits)"
    faint, strong = drawing(chart(0.001, scale)), drawing(chart(0.5, scale))
    least = 0.01 if scale == "recovery" else 0.01 * movable
    assert as_number(faint.legend(title).labels[-1]) == pytest.approx(least, rel=0.02)
    assert as_number(strong.legend(title).labels[-1]) == pytest.approx(50 * least, rel=0.1)
    assert f"no effect {SAID}" in faint.bottom.title and "pale" not in strong.bottom.title
    assert max(cells(faint)) < 0.2 * max(cells(strong))


def of_unit(largest: float, unit: str, position: int | None) -> Chart:
    result = attribution(unit)
    values = scaled(result.attribution, 1.0)
    return attribution_chart(
        replace(result, attribution=values, logit_difference=np.full(4, 1 / largest)), position
    )


def of_nodes(largest: float, chart: Callable[..., Chart]) -> Chart:
    result = nodes()
    values = scaled(result.attribution, 1.0)
    whole = result.logit_difference * 0 + 1 / largest
    return chart(replace(result, attribution=values, logit_difference=whole))


ATTRIBUTIONS: dict[str, Callable[[float], Chart]] = {
    "heads at one position": partial(of_unit, unit="head", position=-1),
    "components everywhere": partial(of_unit, unit="component", position=None),
    "nodes at one position": partial(of_nodes, chart=node_map_chart),
    "nodes everywhere": partial(of_nodes, chart=node_positions_chart),
}


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_attributions_that_are_hardly_any_of_the_difference_look_pale_and_say_so(name: str):
    chart = ATTRIBUTIONS[name]
    faint, strong = drawing(chart(0.001)), drawing(chart(0.5))
    # The difference is 1 / 0.001 logits, and the scale ends at a hundredth of it.
    assert as_number(faint.legend("logits").labels[-1]) == pytest.approx(10.0)
    assert as_number(strong.legend("logits").labels[-1]) <= 1.0
    assert f"no attribution {SAID}" in faint.bottom.title and "pale" not in strong.bottom.title


def test_a_metric_that_does_not_move_has_no_floor():
    result = path(0, clean=CORRUPTED)
    tiny = replace(result, values=CORRUPTED + scaled(result.effect, 1e-4))
    drawn = drawing(path_chart(tiny))
    assert as_number(drawn.legend("effect (logits)").labels[-1]) == pytest.approx(1e-4)
    assert "pale" not in drawn.bottom.title


def test_a_scale_that_ends_at_the_resolution_does_not_say_that_it_ends_at_a_share():
    result = path(0)
    tiny = replace(result, values=CORRUPTED + scaled(result.effect, 1e-4))
    coarse = replace(tiny, provenance=replace(result.provenance, resolution=1.0))
    drawn = drawing(path_chart(coarse))
    assert as_number(drawn.legend("effect (logits)").labels[-1]) == pytest.approx(1.0)
    assert "pale" not in drawn.bottom.title
