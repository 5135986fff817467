"""The residual graph of the real model: how good the estimate is, what is proved, how small circuits are."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from analysis import circuit_curve, circuit_scores, edge_estimates, residual_graph
from analysis.circuit.pair import Pair
from analysis.circuit.search import Circuit, search
from analysis.edges import Exchange, estimated_effects, measured_effects, strongest_in_steps
from analysis.metrics import LogitDifference
from tests.real_model.conftest import RealModel

#: What reads the strongest edges are, of 123,211, with their measured effects in logits; exact norm.
STRONGEST = {
    ("embed", "MLP0"): 10.27,
    ("L23H3", "logits"): 5.05,
    ("MLP0", "L23H3.v"): 3.04,
    ("L29H1", "logits"): 2.65,
    ("L23H3", "L29H1.v"): 1.75,
    ("L20H0", "L23H0.q"): 1.66,
}


def into_corrupted(real_model: RealModel, layer_norm: str = "exact") -> Exchange:
    arguments = real_model.model, real_model.corrupted_tokens, real_model.clean_tokens, real_model.metric
    return Exchange.of(*arguments, layer_norm=layer_norm)


@torch.no_grad()
@pytest.mark.parametrize("component", ["q", "k", "v"])
def test_the_estimate_of_paths_between_heads(real_model: RealModel, component: str) -> None:
    """Correlation and median error, over the 100 largest estimates and 300 random paths, measured."""
    exchange = into_corrupted(real_model, "frozen")
    edges = np.argwhere(exchange.graph.heads_into(component))
    estimates = estimated_effects(exchange)[tuple(edges.T)]
    order = np.argsort(-np.abs(estimates))
    chosen = np.concatenate([order[:100], np.random.default_rng(0).choice(order[100:], 300, replace=False)])
    effects, estimates = measured_effects(exchange, edges[chosen]), estimates[chosen]
    strongest = np.argsort(-np.abs(effects))[:20]
    assert np.corrcoef(effects, estimates)[0, 1] >= {"q": 0.99, "k": 0.99, "v": 0.98}[component]
    assert np.median(np.abs(effects - estimates)[strongest] / np.abs(effects)[strongest]) <= 0.05


@torch.no_grad()
def test_the_top_20_of_the_whole_graph_is_proved(real_model: RealModel) -> None:
    *_, found = strongest_in_steps(into_corrupted(real_model))
    assert found.proved and found.n_edges == 123_211 and found.n_measured < 3_000
    effects = dict(zip(found.labels, found.effects, strict=True))
    for edge, effect in STRONGEST.items():
        assert effects[edge] == pytest.approx(effect, abs=0.01)


def test_the_thirty_strongest_bring_nearly_everything_back(real_model: RealModel) -> None:
    arguments = real_model.model, real_model.clean_tokens, real_model.corrupted_tokens, real_model.metric
    graph = residual_graph(real_model.model)
    swapped = real_model.model, real_model.corrupted_tokens, real_model.clean_tokens, real_model.metric
    estimates = edge_estimates(*swapped)[tuple(graph.edges.T)].abs()
    thirty = graph.labels(graph.edges[estimates.argsort(descending=True)[:30]])
    assert circuit_scores(*arguments, thirty, 0).brings_back >= 0.95


def other_pair(real_model: RealModel) -> tuple:
    """Capitals: Paris minus Rome."""
    model = real_model.model
    metric = LogitDifference(model.to_single_token(" Paris"), model.to_single_token(" Rome"))
    clean, corrupted = (model.to_tokens(f"The capital of {place} is") for place in ("France", "Italy"))
    return model, clean, corrupted, metric


def test_the_curve_of_the_ranking(real_model: RealModel) -> None:
    names = real_model.model, real_model.clean_tokens, real_model.corrupted_tokens, real_model.metric
    assert circuit_curve(*names).cmd <= 0.010
    assert circuit_curve(*other_pair(real_model)).cmd <= 0.005


@lru_cache(maxsize=1)
def circuit_of(real_model: RealModel) -> Circuit:
    arguments = real_model.model, real_model.clean_tokens, real_model.corrupted_tokens, real_model.metric
    states = search(Pair.of(*arguments))
    next(states)
    return next(states)


def test_a_small_circuit_is_found(real_model: RealModel) -> None:
    """At most 0.2 % of the edges after the first growth, of which the rest of the search only takes away."""
    found = circuit_of(real_model)
    assert found.reached and len(found) <= 0.002 * 123_211


def test_it_is_the_mechanism_that_is_known(real_model: RealModel) -> None:
    """The head that looks for the second name, L20H0, tells the name movers of layer 23 where to look."""
    assert ("L20H0", "L23H0.q") in circuit_of(real_model).labels
