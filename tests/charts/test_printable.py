"""Whatever stands in a prompt, its charts are drawn, and nothing of it is obeyed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unicodedata import category
from xml.etree import ElementTree

import numpy as np
import pytest

from analysis.answers import answer
from analysis.charts import attribution_chart, chart_png, chart_svg, predictions_chart
from analysis.charts.export import picture
from analysis.charts.pictures import Form, draw
from analysis.demo_model.examples import EXAMPLES
from analysis.labels import printable, shown_token
from analysis.requests import Experiment
from analysis.results import AttributionRequest, AttributionResult
from tests.chart_samples import CHARTS, Chart, attribution, overview
from tests.charts.test_charts import nested
from tests.hostile import HOSTILE

FORMS: tuple[Form, ...] = ("svg", "png")
PNG = b"\x89PNG"


def drawn(texts: Sequence[str], form: Form) -> bytes:
    """A picture of `texts`, a line each."""
    rows = [{"line": line, "text": printable(text)} for line, text in enumerate(texts)]
    encoding = {
        "y": {"field": "line", "type": "quantitative"},
        "text": {"field": "text", "type": "nominal"},
    }
    spec = {"data": {"values": rows}, "mark": "text", "height": 800, "encoding": encoding}
    return draw(spec, form, seconds=60)


def attribution_of(tokens: tuple[str, ...]) -> AttributionResult:
    few = attribution("component")
    values = np.random.default_rng(2).normal(size=(len(few.labels), len(tokens)))
    return replace(few, attribution=values, logit_difference=values.sum(axis=0), tokens=tokens)


def predictions_of(tokens: Sequence[str]) -> Chart:
    top = tuple((token, 1.0, 0.1) for token in tokens)
    return predictions_chart(replace(overview(), clean_top=top, corrupted_top=top))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_every_character_that_labels_keep_can_be_drawn(form: Form):
    kept = [one for one in map(chr, range(0x110000)) if printable(one) == one]
    lines = ["".join(kept[start : start + 128]) for start in range(0, len(kept), 128)]
    for start in range(0, len(lines), 100):
        assert len(drawn(lines[start : start + 100], form)) > 1000


@pytest.mark.parametrize("form", FORMS)
def test_characters_of_every_category_can_be_drawn_one_by_one(form: Form):
    of_category: dict[str, list[str]] = {}
    for one in map(chr, range(0x110000)):
        of_category.setdefault(category(one), []).append(one)
    assert len(of_category) == 30
    controls = of_category.pop("Cc")
    samples = [one for few in of_category.values() for one in few[:: len(few) // 20 + 1]]
    for start in range(0, len(samples := controls + samples), 100):
        assert drawn(samples[start : start + 100], form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_chart_of_hostile_tokens_is_drawn(name: str, form: Form):
    tokens = (HOSTILE[name], "a", HOSTILE[name])
    for chart in (attribution_chart(attribution_of(tokens), None), predictions_of(tokens[:2])):
        if form == "png":
            assert chart_png(chart, "light", {"model": HOSTILE[name]}).startswith(PNG)
        else:
            assert ElementTree.fromstring(chart_svg(chart, "dark", {"model": HOSTILE[name]}))


def test_all_hostile_tokens_stand_in_one_chart_as_what_they_are():
    svg = chart_svg(attribution_chart(attribution_of((*HOSTILE.values(),)), None), "light", {})
    spoken = {element.get("aria-label", "") for element in ElementTree.fromstring(svg).iter()}
    for position, token in enumerate(HOSTILE.values()):
        label = f"at: {position} {shown_token(token)}".strip()
        assert any(label in text for text in spoken), label


def test_a_hostile_vocabulary_keeps_a_bar_for_each_of_its_tokens():
    alike = [*HOSTILE.values()][:6]
    rows = picture(predictions_of(alike), "light")["datasets"]["table_0"]
    assert len({row["label"] for row in rows}) == 6


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("character", ["\x00", "\x01", "\x1b", "\ufffe", "\u202e"])
def test_a_prompt_with_a_control_character_has_its_chart_of_all_positions(character: str, form: Form):
    first = EXAMPLES[0]
    experiment = Experiment(
        "demo", f"{first.clean}{character}", f"{first.corrupted}{character}", first.answer, first.foil
    )
    result = answer(AttributionRequest(experiment)).result
    # The bundled vocabulary may not know the character; another's tokens hold it as it is.
    for tokens in (result.tokens, (*result.tokens[:-1], character)):
        chart = attribution_chart(replace(result, tokens=tokens), None)
        if form == "png":
            assert chart_png(chart, "light", result.origin()).startswith(PNG)
        else:
            assert ElementTree.fromstring(chart_svg(chart, "light", result.origin()))


def expressions(spec: Any) -> set[str]:
    """Everything in a specification that Vega evaluates."""
    keys = {"expr", "calculate", "filter", "labelExpr", "test", "signal", "update"}
    return {
        str(value)
        for item in nested(spec)
        if isinstance(item, dict)
        for key, value in item.items()
        if key in keys
    }


def test_no_text_of_a_prompt_is_evaluated_or_read_as_an_address():
    marker = "markedtext"
    tokens = (f"datum.{marker}", f"http://127.0.0.1/{marker}.png")
    charts = [attribution_chart(attribution_of(tokens), None), predictions_of(tokens)]
    charts += [
        attribution_chart(replace(attribution(unit), tokens=(marker,) * 4), 1)
        for unit in ("component", "layer", "head")
    ]
    for spec in (picture(chart, "light") for chart in charts):
        tables = spec.pop("datasets")
        assert expressions(spec) and not any(marker in text for text in expressions(spec))
        assert all(
            isinstance(value, str | int | float | None)
            for rows in tables.values()
            for row in rows
            for value in row.values()
        )


@pytest.mark.parametrize("name", CHARTS)
def test_no_chart_names_an_address(name: str):
    spec = picture(CHARTS[name]("light"), "light")
    assert not any("url" in item or "href" in item for item in nested(spec) if isinstance(item, dict))
    assert "image" not in [
        item["type"] for item in nested(spec) if isinstance(item, dict) and isinstance(item.get("type"), str)
    ]
