"""A set of prompts as it is drawn: a dot for each prompt at its own number, and the mean of what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.charts import Theme, agreement_chart, metric_strip_chart
from analysis.charts.themes import PALETTES
from analysis.sets import Agreement
from tests.charts.drawn import Drawing, as_number, colour, drawing

EFFECT = np.array([[3.0, -0.5, 1.0], [4.0, 0.75, 1.25], [5.0, -1.0, 0.001]])


def agreement() -> Agreement:
    below = np.zeros(EFFECT.shape, dtype=bool)
    below[2, 2] = True
    return Agreement(
        ("L0H7 → L2H5.v", "L1H0 → L3H1.q", "L0H1 → L2H2.k"), EFFECT, below, below | True, EFFECT[:, 0]
    )


def dots(drawn: Drawing, title: str) -> dict[tuple[str, int], float]:
    """What is told of each dot, held against where it stands on the axis and in which row."""
    found = {}
    for mark in drawn.of("symbol", "item", "prompt"):
        told = mark.told[title]
        value = 0.0 if told == "below resolution" else as_number(told)
        assert drawn.bottom.read(mark.x) == pytest.approx(value, abs=0.02)
        assert drawn.left.nearest(mark.y) == mark.told["item"]
        found[mark.told["item"], int(mark.told["prompt"])] = value
    return found


def test_every_prompt_has_a_dot_at_its_own_effect_and_the_mean_a_tick():
    drawn = drawing(agreement_chart(agreement(), "effect (logits)"))
    assert drawn.bottom.title == "effect (logits)"
    found = dots(drawn, "effect (logits)")
    expected = np.where(agreement().below_resolution, 0.0, EFFECT)
    assert found == {
        (label, prompt + 1): pytest.approx(expected[prompt, index])
        for index, label in enumerate(agreement().labels)
        for prompt in range(3)
    }
    ticks = {mark.told["item"]: mark for mark in drawn.of("rect", "mean")}
    for label, mean in zip(agreement().labels, EFFECT.mean(axis=0), strict=True):
        assert as_number(ticks[label].told["mean"]) == pytest.approx(mean, abs=1e-4)
        assert drawn.bottom.read(ticks[label].x) == pytest.approx(mean, abs=0.02)
    assert [label for label, _ in drawn.left.labels] == ["L0H7 → L2H5.v", "L0H1 → L2H2.k", "L1H0 → L3H1.q"]
    assert ticks["L1H0 → L3H1.q"].told["same sign"] == "2 of 3"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_robust_looks_unlike_what_changes_every_time(theme: Theme):
    drawn = drawing(agreement_chart(agreement(), "effect", theme), theme)
    fills = {mark.told["item"]: mark.fill for mark in drawn.of("symbol", "item")}
    assert fills["L0H7 → L2H5.v"] == colour(PALETTES[theme].positive)
    assert fills["L1H0 → L3H1.q"] is None and fills["L0H1 → L2H2.k"] is None


def test_the_metric_of_every_prompt_stands_in_the_row_of_its_run():
    metrics = np.array([[3.0, -2.0], [4.0, -1.0], [8.0, 0.5]])
    drawn = drawing(metric_strip_chart(metrics, [1, 2, 5], "logit_difference"))
    assert drawn.bottom.title == "logit difference (logits)"
    found = {}
    for mark in drawn.of("symbol", "prompt"):
        value = as_number(mark.told["metric"])
        assert drawn.bottom.read(mark.x) == pytest.approx(value, abs=0.02)
        assert drawn.left.nearest(mark.y) == mark.told["run"]
        found[int(mark.told["prompt"]), mark.told["run"]] = value
    assert found == {
        (number, run): metrics[row, column]
        for row, number in enumerate([1, 2, 5])
        for column, run in enumerate(["clean", "corrupted"])
    }
    ticks = {mark.told["run"]: as_number(mark.told["mean"]) for mark in drawn.of("rect", "mean")}
    assert ticks == {"clean": 5.0, "corrupted": pytest.approx(-2.5 / 3, abs=1e-4)}


def test_the_descriptions_tell_what_is_drawn():
    told = agreement_chart(agreement(), "effect").to_dict()["description"]
    assert told == (
        "The 3 largest mean effects over 3 prompts; robust are 1. Largest: L0H7 → L2H5.v with +4, "
        "the same sign in 3 of 3."
    )
    metrics = np.array([[3.0, -2.0], [4.0, -1.0]])
    told = metric_strip_chart(metrics, [1, 2], "logit_difference").to_dict()["description"]
    assert told.startswith(
        "The logit difference of 2 prompts, on average +3.5 on the clean and \N{MINUS SIGN}1.5 on"
    )
