"""What a screen reader says of a chart is what the chart shows."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from analysis.charts import all_sources_chart, attribution_chart, path_chart, predictions_chart
from analysis.charts.export import picture
from analysis.labels import head_label
from analysis.requests import HEAD_INPUTS, UNITS
from tests.chart_samples import CLEAN, TOKENS, Chart, all_sources, attribution, overview, path
from tests.charts.drawn import as_number


def said(chart: Chart) -> str:
    description = picture(chart, "light")["description"]
    assert isinstance(description, str)
    return description


def shown_as(text: str, value: float) -> bool:
    """Whether `text` is `value` with its sign, to three digits."""
    return text[0] in "+\N{MINUS SIGN}" and as_number(text) == pytest.approx(value, rel=5e-3)


@pytest.mark.parametrize("scale", ["effect", "recovery"])
@pytest.mark.parametrize("clean", [CLEAN, -7.0], ids=["clean above", "clean below"])
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_paths_of_one_source_are_counted_and_the_strongest_is_named(component, clean, scale):
    result = path(source_layer=0, clean=clean)
    result = replace(result, request=replace(result.request, component=component))
    text = said(path_chart(result, scale))
    found = re.search(
        r"Direct paths from (L0H2)\. (\d+) paths into the (\w) input.*destination: (\w+) with (\S+)\.$", text
    )
    assert found is not None, text
    strength = np.nan_to_num(np.abs(result.effect))
    layer, head = np.unravel_index(strength.argmax(), strength.shape)
    effect = result.effect[layer, head]
    assert int(found[2]) == np.isfinite(result.values).sum()
    assert found[3] == component
    assert found[4] == head_label(int(layer), int(head))
    assert shown_as(found[5], effect if scale == "effect" else effect / (clean - result.corrupted_metric))


def test_every_path_is_counted_and_the_strongest_of_them_is_named():
    result = all_sources()
    found = re.search(
        r"Every direct path\. (\d+) paths into the q .*destination: (\w+) with (\S+)\.$",
        said(all_sources_chart(result)),
    )
    assert found is not None
    strength = np.nan_to_num(np.abs(result.effect))
    edge = np.unravel_index(strength.argmax(), strength.shape)
    assert int(found[1]) == result.n_total
    assert found[2] == head_label(int(edge[2]), int(edge[3]))
    assert shown_as(found[3], result.effect[edge])


def test_a_sweep_without_a_value_is_said_to_have_none():
    result = path(source_layer=2)
    assert not np.isfinite(result.values).any()
    assert said(path_chart(result)) == "Direct paths from L2H2. No path has a value."


@pytest.mark.parametrize("position", [*range(len(TOKENS)), -1, -3])
@pytest.mark.parametrize("run", ["clean", "corrupted"])
@pytest.mark.parametrize("unit", UNITS)
def test_the_largest_attribution_at_a_position_is_named(unit, run, position):
    result = attribution(unit)
    result = replace(result, request=replace(result.request, run=run))
    text = said(attribution_chart(result, position))
    where = position if position >= 0 else position + len(TOKENS)
    assert text.startswith(
        f"Direct logit attribution by {unit} at position {where} of the {run} prompt, in logits. Largest: "
    )
    found = re.search(r"Largest: (\S+) with (\S+)\.$", text)
    assert found is not None, text
    values = result.attribution[:, position]
    largest = int(np.abs(values).argmax())
    assert found[1] == result.labels[largest]
    assert shown_as(found[2], values[largest])


@pytest.mark.parametrize("unit", UNITS)
def test_the_largest_attribution_of_all_positions_is_named(unit):
    result = attribution(unit)
    text = said(attribution_chart(result, None))
    found = re.search(r"at every position of the clean prompt.* Largest: (\S+) with (\S+)\.$", text)
    assert found is not None, text
    part, position = np.unravel_index(np.abs(result.attribution).argmax(), result.attribution.shape)
    assert found[1] == result.labels[part]
    assert shown_as(found[2], result.attribution[part, position])


def test_the_first_token_of_each_prompt_is_said_with_its_probability():
    assert said(predictions_chart(overview())) == (
        "Most probable next tokens. Clean prompt: ·Mary at 70.0%. Corrupted prompt: ·John at 60.0%."
    )
