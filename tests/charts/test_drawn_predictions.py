"""Predictions as drawn: every bar is the probability of its own token after its own prompt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.charts import predictions_chart
from tests.chart_samples import THEMES, overview
from tests.charts.drawn import Drawing, Mark, as_number, drawing

#: Token as shown -> probability and logit after the clean and after the corrupted prompt, as in the sample.
EXPECTED = {
    ("·Mary", "clean"): (0.7, 5.0),
    ("·John", "clean"): (0.2, 4.0),
    ("·John", "corrupted"): (0.6, 5.0),
    ("⏎", "corrupted"): (0.1, 3.0),
}
LABELS = {"·Mary": "·Mary (answer)", "·John": "·John (foil)", "⏎": "⏎"}


def bars(picture: Drawing) -> dict[tuple[str, str], Mark]:
    return {(mark.told["token"], mark.told["prompt"]): mark for mark in picture.of("rect", "token")}


@pytest.mark.parametrize("theme", THEMES)
def test_a_bar_is_as_long_as_its_token_is_probable_after_its_prompt(theme):
    picture = drawing(predictions_chart(overview(), theme), theme)
    assert picture.bottom.title == "probability of the next token"
    found = bars(picture)
    assert found.keys() == EXPECTED.keys()
    for (token, prompt), mark in found.items():
        probability, logit = EXPECTED[token, prompt]
        assert picture.left.nearest(mark.y) == LABELS[token]
        assert picture.bottom.read(mark.left) == pytest.approx(0, abs=1e-3)
        assert picture.bottom.read(mark.right) == pytest.approx(probability, abs=1e-3)
        assert as_number(mark.told["probability"]) == pytest.approx(probability, abs=1e-5)
        assert as_number(mark.told["logit"]) == pytest.approx(logit, abs=1e-3)


@pytest.mark.parametrize("theme", THEMES)
def test_the_legend_names_the_colour_of_each_prompt_and_clean_stands_above(theme):
    picture = drawing(predictions_chart(overview(), theme), theme)
    (legend,) = picture.legends
    colours = dict(zip(legend.labels, legend.colours, strict=True))
    assert {*colours} == {"clean", "corrupted"} and len({*colours.values()}) == 2
    found = bars(picture)
    assert all(mark.fill == colours[prompt] for (_, prompt), mark in found.items())
    assert found["·John", "clean"].y < found["·John", "corrupted"].y


def test_every_bar_has_its_number_and_a_missing_one_its_bound():
    picture = drawing(predictions_chart(overview()))
    numbers = {(mark.told["token"], mark.told["prompt"]): mark for mark in picture.of("text", "token")}
    said = {key: mark.text for key, mark in numbers.items()}
    assert said == {
        ("·Mary", "clean"): "70.0%",
        ("·Mary", "corrupted"): "< 10.0%",
        ("·John", "clean"): "20.0%",
        ("·John", "corrupted"): "60.0%",
        ("⏎", "clean"): "< 20.0%",
        ("⏎", "corrupted"): "10.0%",
    }
    for key, bar in bars(picture).items():
        assert numbers[key].x == pytest.approx(bar.right, abs=6)
        assert numbers[key].y == pytest.approx(bar.y, abs=1)
    assert list(dict.fromkeys(token for token, _ in sorted(said, key=lambda key: numbers[key].y))) == [
        *LABELS
    ]


@pytest.mark.parametrize(
    ("chance", "shown", "bound"),
    [
        (0.0104, "1.0%", "< 1.0%"),
        (0.001, "0.1%", "< 0.1%"),
        (0.00094, "< 0.1%", "< 0.1%"),
        (1e-9, "< 0.1%", "< 0.1%"),
    ],
)
def test_a_chance_that_would_be_written_as_nothing_is_said_to_be_below_a_tenth_of_a_percent(
    chance, shown, bound
):
    result = replace(overview(), clean_top=((" Mary", 5.0, 0.7), (" John", 4.0, chance)))
    picture = drawing(predictions_chart(result))
    said = {(mark.told["token"], mark.told["prompt"]): mark.text for mark in picture.of("text", "token")}
    assert said["·John", "clean"] == shown
    assert said["⏎", "clean"] == bound
