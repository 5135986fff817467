"""Paths of an experiment: its own metric, estimate, ends and resolution, and not those of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from analysis import models
from analysis.answers.compute import compute
from analysis.demo_model.examples import EXAMPLES
from analysis.edges import edge_estimates, residual_graph
from analysis.experiment import prompts
from analysis.metrics import metric_resolution
from analysis.models import DEMO
from analysis.nodes import causal_edges
from analysis.requests import METRIC_NAMES, Experiment, LayerNormMode
from analysis.results import AllSourcesRequest, PathRequest
from analysis.store.store import Store
from analysis.sweep import Sweep
from tests.experiments import on

Row = torch.Tensor
#: Each metric of patched logits y and clean logits x at the last position, for answer a and foil f.
FORMULAS: dict[str, Callable[[Row, Row, int, int], Row]] = {
    "logit_difference": lambda y, x, a, f: y[a] - y[f],
    "answer_log_probability": lambda y, x, a, f: y[a] - y.logsumexp(0),
    "answer_probability": lambda y, x, a, f: y.softmax(0)[a],
    "kl_from_clean": lambda y, x, a, f: torch.nn.functional.kl_div(
        y.log_softmax(0), x.log_softmax(0), log_target=True, reduction="sum"
    ),
}


class Asked(NamedTuple):
    """The experiment, its clean tokens, a sweep's four arguments, both runs' logits, and every metric."""

    experiment: Experiment
    clean_tokens: torch.Tensor
    arguments: tuple[Any, torch.Tensor, Any, Any]
    logits: tuple[torch.Tensor, torch.Tensor]
    metrics: dict[str, Any]


@pytest.fixture(scope="module")
def asked(family_directory) -> Asked:
    experiment = on(family_directory("gpt2"))
    bridge = models.load(experiment.model).bridge
    pair = prompts.prepare(bridge, experiment)
    with torch.no_grad():
        clean_logits, clean = bridge.run_with_cache(pair.clean)
        corrupted_logits, corrupted = bridge.run_with_cache(pair.corrupted)
    metrics: dict[str, Any] = {
        name: lambda logits, of=of: of(logits[0, -1], clean_logits[0, -1], pair.answer, pair.foil)
        for name, of in FORMULAS.items()
    }
    arguments = bridge, pair.corrupted, clean, corrupted
    return Asked(experiment, pair.clean, arguments, (clean_logits, corrupted_logits), metrics)


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_the_ends_and_the_resolution_are_those_of_the_metric_that_is_asked_for(
    asked: Asked, metric, tmp_path
):
    experiment, _, _, (clean, corrupted), metrics = asked
    found = compute(PathRequest(experiment, 0, 1, metric=metric), Store.open(tmp_path))
    assert found.clean_metric == pytest.approx(float(metrics[metric](clean)), rel=1e-3, abs=1e-6)
    assert found.corrupted_metric == pytest.approx(float(metrics[metric](corrupted)), rel=1e-3, abs=1e-6)
    assert abs(found.clean_metric - found.corrupted_metric) > 1e-4
    expected = metric_resolution(metrics[metric], corrupted)
    assert found.provenance.resolution == pytest.approx(expected, rel=1e-3)
    assert expected != pytest.approx(metric_resolution(metrics[metric], clean), rel=1e-3)


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_paths_are_measured_by_the_metric_that_is_asked_for(asked: Asked, metric, tmp_path):
    experiment, _, arguments, _, metrics = asked
    found = compute(PathRequest(experiment, 0, 1, "v", metric=metric), Store.open(tmp_path))
    expected = np.full(found.values.shape, np.nan)
    for piece in Sweep(*arguments, metrics[metric], component="v", sources=[(0, 1)]).run():
        expected[tuple(piece.edges[:, 2:].T)] = piece.values
    effect = np.nanmax(np.abs(expected - found.corrupted_metric))
    assert effect > 1e-6
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-2 * effect)


@pytest.mark.parametrize(
    ("component", "layer_norm", "metric"),
    [
        ("q", "exact", "logit_difference"),
        ("k", "frozen", "kl_from_clean"),
        ("v", "exact", "answer_probability"),
        ("v", "frozen", "logit_difference"),
    ],
)
def test_the_estimate_is_of_the_component_norm_and_metric_that_are_asked_for(
    asked: Asked, component, layer_norm, metric, tmp_path
):
    experiment, clean_tokens, arguments, _, metrics = asked
    found = compute(AllSourcesRequest(experiment, component, layer_norm, metric), Store.open(tmp_path))
    causal = causal_edges(*found.values.shape[:2])

    def estimated(layer_norm: LayerNormMode) -> np.ndarray:
        model, corrupted_tokens, *_ = arguments
        whole = edge_estimates(model, corrupted_tokens, clean_tokens, metrics[metric], layer_norm=layer_norm)
        paths = [(f"L{sl}H{sh}", f"L{dl}H{dh}.{component}") for sl, sh, dl, dh in np.argwhere(causal)]
        return whole.numpy()[tuple(residual_graph(model).index(paths).T)]

    expected = estimated(layer_norm)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found.estimate[causal], expected, rtol=0, atol=1e-4 * largest)
    assert np.isnan(found.estimate[~causal]).all()
    other = {"frozen": "exact", "exact": "frozen"}[layer_norm]
    assert np.abs(estimated(other) - expected).max() > 1e-2 * largest


@pytest.mark.parametrize("layer_norm", ["frozen", "exact"])
def test_the_estimate_ranks_paths_into_queries_as_they_are_measured(layer_norm, tmp_path):
    """Softmax bends what a query hears, which the first-order estimate takes to be straight."""
    example = EXAMPLES[0]
    asked = Experiment(DEMO, example.clean, example.corrupted, example.answer, example.foil)
    found = compute(AllSourcesRequest(asked, "q", layer_norm), Store.open(tmp_path))
    measured = (found.values - found.corrupted_metric)[found.causal]
    estimate = found.estimate[found.causal]
    assert np.corrcoef(measured, estimate)[0, 1] > 0.999
    ranking = np.argsort(-np.abs(estimate))
    assert set(np.argsort(-np.abs(measured))[:10]) <= set(ranking[:12])
