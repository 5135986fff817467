"""Attribution prompt by prompt: every node of every prompt at its own number, on one scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.charts import attribution_maps_chart, most_maps
from analysis.labels import node_name
from analysis.results import RunShown
from tests.charts.drawn import as_number, drawing
from tests.charts.test_node_maps import nodes

NUMBERS = [1, 2, 4]


def prompts(biases: bool = True):
    return [replace(nodes(biases), attribution=nodes(biases).attribution * size) for size in (1, -2, 0.5)]


@pytest.mark.parametrize("shown", ["clean", "corrupted", "clean_minus_corrupted"])
def test_every_node_of_every_prompt_has_its_own_number(shown: RunShown):
    results = prompts()
    drawn = drawing(attribution_maps_chart(results, NUMBERS, shown))
    found = {
        (mark.told["map"], mark.told["item"]): as_number(mark.told["logits"])
        for mark in drawn.of("rect", "item")
    }
    for number, result in zip(NUMBERS, results, strict=True):
        clean, corrupted = result.attribution[..., -1]
        true = {"clean": clean, "corrupted": corrupted}.get(shown, clean - corrupted)
        for label, value in zip(result.labels, true, strict=True):
            assert found.pop((f"prompt {number}", node_name(label))) == pytest.approx(value, abs=1e-4)
    assert not found
    largest = max(abs(result.shown(shown)[:, -1]).max() for result in results)
    assert as_number(drawn.legend("logits").labels[-1]) == pytest.approx(largest, rel=0.01)


def test_biases_have_a_column_only_where_there_are_any():
    with_biases, without = (drawing(attribution_maps_chart(prompts(b), NUMBERS)) for b in (True, False))
    assert len(with_biases.of("rect", "item")) - len(without.of("rect", "item")) == 3 * nodes().n_layers
    assert "bias" in [label for label, _ in with_biases.bottom.labels]
    assert "bias" not in [label for label, _ in without.bottom.labels]


def test_so_many_are_drawn_as_a_browser_bears():
    assert most_maps(prompts()) == 3
    wide = replace(nodes(), n_layers=60, n_heads=64)
    assert most_maps([wide] * 5) == 1


def test_the_description_tells_the_largest():
    results = prompts()
    clean = np.array([result.attribution[0, :, -1] for result in results])
    which, node = np.unravel_index(abs(clean).argmax(), clean.shape)
    told = attribution_maps_chart(results, NUMBERS).to_dict()["description"]
    assert f"{node_name(results[0].labels[node])} in prompt {NUMBERS[which]} with" in told
