"""What is drawn of an MLP's neurons is what the result holds: bars, numbers, tooltips, description."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.charts import MOST_NEURONS, neurons_chart
from analysis.charts.export import picture
from analysis.results import RUNS_SHOWN, NeuronsRequest, NeuronsResult
from tests.chart_samples import EXPERIMENT, PROVENANCE, THEMES, TOKENS
from tests.charts.drawn import as_number, drawing
from tests.charts.signed import warmth

N_NEURONS = 30
LABELS = [f"L2N{neuron}" for neuron in range(N_NEURONS)]


def neurons(n_neurons: int = N_NEURONS, resolution: float | None = None) -> NeuronsResult:
    generator = np.random.default_rng(3)
    attribution, activation = generator.normal(size=(2, 2, n_neurons))
    bias, told = np.array([0.25, -0.5]), np.arange(0, n_neurons, 2)
    return NeuronsResult(
        request=NeuronsRequest(EXPERIMENT, "MLP2", -1),
        provenance=replace(PROVENANCE, resolution=resolution),
        position=3,
        activation=activation,
        attribution=attribution,
        bias=bias,
        whole=attribution.sum(axis=1) + bias,
        told=told,
        promotion=np.tile([2.0, 1.0, -1.0, -2.0], (len(told), 1)),
        promoted_ids=np.tile(np.arange(4), (len(told), 1)),
        promoted_tokens=tuple((f" up{neuron}", "more", "less", "\n") for neuron in told),
        clean_tokens=TOKENS,
        corrupted_tokens=TOKENS,
    )


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("run", RUNS_SHOWN)
def test_the_strongest_have_a_bar_each_the_strongest_first(run, theme):
    result = neurons()
    shown = result.shown(run)
    expected = sorted(range(N_NEURONS), key=lambda neuron: -abs(shown[neuron]))[:MOST_NEURONS]
    seen = drawing(neurons_chart(result, run, theme), theme)
    bars = sorted(seen.of("rect", "neuron"), key=lambda mark: mark.y)
    assert [seen.left.nearest(bar.y) for bar in bars] == [LABELS[neuron] for neuron in expected]
    for bar, neuron in zip(bars, expected, strict=True):
        ends = sorted((0.0, shown[neuron]))
        assert [seen.bottom.read(bar.left), seen.bottom.read(bar.right)] == pytest.approx(ends, abs=1e-3)
        assert np.sign(warmth(bar.fill, theme)) == np.sign(shown[neuron])
        assert bar.told["neuron"] == LABELS[neuron]
        assert as_number(bar.told["logits"]) == pytest.approx(shown[neuron], abs=1e-3)
        for row, called in enumerate(("clean", "corrupted")):
            activation = as_number(bar.told[f"activation, {called}"])
            assert activation == pytest.approx(result.activation[row, neuron], abs=1e-3)
        promotes = f"·up{neuron} more" if neuron % 2 == 0 else ""
        assert bar.told["promotes"] == promotes
        assert bar.told["suppresses"] == ("⏎ less" if promotes else "")


def test_what_rounding_can_explain_has_no_length_and_says_so():
    result = neurons(3, resolution=100.0)
    seen = drawing(neurons_chart(result, "clean"))
    assert {bar.told["logits"] for bar in seen.of("rect", "neuron")} == {"below resolution"}
    assert not seen.of("text")


def test_it_is_told_to_a_screen_reader():
    result = neurons()
    first = result.table("corrupted", 1).iloc[0]
    said = picture(neurons_chart(result, "corrupted"), "light")["description"]
    assert said.startswith(
        "Direct logit attribution of the strongest neurons of L2 MLP at position 3, corrupted run, in logits."
    )
    assert f"Largest: {first['neuron']} with " in said
    assert "below resolution" in picture(neurons_chart(neurons(3, 100.0), "clean"), "light")["description"]
