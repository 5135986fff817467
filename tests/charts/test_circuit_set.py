"""A circuit over a prompt set as it is drawn: a dot at each prompt's share, the ratio of means a tick."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.charts import circuit_set_chart
from analysis.charts.themes import PALETTES
from analysis.sets import CircuitOverPrompts
from tests.charts.drawn import colour, drawing

SCORES = CircuitOverPrompts(
    np.array([[0.9, 0.8, 0.5], [0.7, 0.75, 0.25], [0.8, 0.7, 0.5], [9.0, -9.0, 0.0]]),
    np.array([5.0, 3.0, 4.0, 0.01]),
)
ROWS = ("brings back", "breaks", "faithful")


def share(told: str) -> float:
    return float(told.replace("\N{MINUS SIGN}", "-").rstrip("%")) / 100


def test_every_prompt_has_a_dot_at_its_share_and_the_ratio_is_a_tick():
    drawn = drawing(circuit_set_chart(SCORES, [1, 2, 4, 6]))
    found = {}
    for mark in drawn.of("symbol", "prompt"):
        value = share(mark.told["share"])
        assert drawn.bottom.read(mark.x) == pytest.approx(np.clip(value, -0.25, 1.25), abs=0.01)
        assert drawn.left.nearest(mark.y) == mark.told["score"]
        found[int(mark.told["prompt"]), mark.told["score"]] = value
    assert found == {
        (number, score): pytest.approx(SCORES.share[row, column], abs=1e-3)
        for row, number in enumerate([1, 2, 4, 6])
        for column, score in enumerate(ROWS)
    }
    ticks = {mark.told["score"]: mark for mark in drawn.of("rect", "over all")}
    for score, ratio in zip(ROWS, SCORES.ratio, strict=True):
        assert share(ticks[score].told["over all"]) == pytest.approx(ratio, abs=1e-3)
        assert drawn.bottom.read(ticks[score].x) == pytest.approx(ratio, abs=0.01)
    assert [label for label, _ in drawn.left.labels] == [*ROWS]


def test_a_prompt_whose_runs_hardly_differ_looks_as_little_as_its_share_says():
    drawn = drawing(circuit_set_chart(SCORES, [1, 2, 4, 6]))
    fills = {int(mark.told["prompt"]): mark.fill for mark in drawn.of("symbol", "prompt")}
    assert fills == {
        1: colour(PALETTES["light"].clean),
        2: colour(PALETTES["light"].clean),
        4: colour(PALETTES["light"].clean),
        6: None,
    }


def test_the_description_tells_the_ratios():
    told = circuit_set_chart(SCORES, [1, 2, 4, 6]).to_dict()["description"]
    assert told == (
        "The scores of the paths in each of 4 prompts. Over all of them: brings back 82 %, breaks 75 %, "
        "faithful 44 %."
    )
    nothing = CircuitOverPrompts(SCORES.share[:2], np.array([4.0, -4.0]))
    drawn = drawing(circuit_set_chart(nothing, [1, 2]))
    assert not drawn.of("rect", "over all") and len(drawn.of("symbol", "prompt")) == 6
