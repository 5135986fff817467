"""The estimate of every edge is exact at the destination and linear after it, and nothing more."""

from __future__ import annotations

import pytest
import torch

from analysis.edges import edge_effects, edge_estimates, residual_graph
from analysis.metrics import AnswerProbability, LogitDifference
from analysis.requests import LAYER_NORM_MODES
from tests.configurations import FAMILIES
from tests.edges.linear import linear_effects
from tests.edges.reference import reader_kind, sampled_labels, swapped
from tests.reference import FLOAT64_TOLERANCE
from tests.runs import (
    KeepFloat64,
    Runs,
    computed_in_float64,
    family_model,
    family_runs,
    last_logit_difference,
    random_prompts,
    run_pair,
)
from tests.sweep.support import models_of_this_release

PROBABILITY = AnswerProbability(answer=7)


def estimates(runs: Runs, metric=last_logit_difference, layer_norm="exact", **options) -> torch.Tensor:
    with KeepFloat64():
        tokens = runs.corrupted_tokens, runs.clean_tokens
        return edge_estimates(runs.model, *tokens, metric, layer_norm=layer_norm, **options)


def estimates_of(runs: Runs, edges, metric=last_logit_difference, layer_norm="exact", **options):
    indices = residual_graph(runs.model).index(edges)
    return estimates(runs, metric, layer_norm, **options)[tuple(torch.from_numpy(indices).T)]


def effects(runs: Runs, edges, metric=last_logit_difference, layer_norm="exact") -> torch.Tensor:
    with KeepFloat64():
        tokens = runs.corrupted_tokens, runs.clean_tokens
        return edge_effects(runs.model, *tokens, edges, metric, layer_norm=layer_norm)


def assert_linear(runs: Runs, edges, metric, layer_norm, points=1) -> None:
    true = linear_effects(runs, edges, metric, layer_norm, points)
    found = estimates_of(runs, edges, metric, layer_norm, points=points)
    assert (found - true).abs().max() <= FLOAT64_TOLERANCE * true.abs().max()
    assert true.abs().max() > 1e-6


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize(
    "family",
    [*FAMILIES, "granite", "gemma3", "olmo clipped", "cohere with q/k norms", "stablelm in parallel"],
)
def test_it_is_the_models_own_gradient_at_what_the_reader_gives_out(family, layer_norm):
    runs = models_of_this_release()[family]()
    assert_linear(runs, sampled_labels(runs, family, each=1), last_logit_difference, layer_norm)


@pytest.mark.parametrize("points", [1, 2, 5])
@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama-grouped", "gemma2"])
def test_points_are_runs_on_the_way_to_the_other_one_in_both_directions(family, points):
    runs = computed_in_float64(family)
    for direction in (runs, swapped(runs)):
        edges = sampled_labels(runs, family + str(points), each=1)
        assert_linear(direction, edges, PROBABILITY, "exact", points)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("family", ["gpt2", "phi", "gemma2"])
def test_into_the_logits_it_is_exact(family, layer_norm):
    runs = computed_in_float64(family)
    graph = residual_graph(runs.model)
    edges = [(writer, "logits") for writer in graph.writers]
    for points in (1, 3):
        found = estimates_of(runs, edges, PROBABILITY, layer_norm, points=points)
        true = effects(runs, edges, PROBABILITY, layer_norm)
        assert (found - true).abs().max() <= 1e-12 * true.abs().max()


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_a_number_exactly_where_there_is_an_edge(family):
    runs = computed_in_float64(family)
    graph = residual_graph(runs.model)
    found = estimates(runs)
    assert found.shape == (len(graph.writers), len(graph.readers))
    assert found.dtype == torch.float64 and not found.requires_grad
    assert torch.equal(~found.isnan(), torch.from_numpy(graph.exists))
    # Blocks in parallel: an MLP does not hear its own heads.
    assert found[graph.writers.index("L1H0"), graph.readers.index("MLP1")].isnan() == graph.parallel


def nearby(family: str, step: float) -> Runs:
    """Runs on prompts whose embeddings differ by `step` of what they usually do."""
    model = family_model.__wrapped__(family)
    clean, corrupted = random_prompts(2, (4, 8), 9)
    with torch.no_grad():
        weight = model.embed.original_component.weight
        rows = weight.clone()
        for there, here in zip(clean[clean != corrupted], corrupted[clean != corrupted], strict=True):
            rows[there] = weight[here] + step * (weight[there] - weight[here])
        weight.copy_(rows)
    return run_pair(model, clean, corrupted)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("family", ["gpt2", "gpt-j", "gpt-neo"])
def test_its_error_falls_with_the_square_of_the_difference(family, layer_norm):
    errors, sizes = [], []
    for step in (2e-3, 1e-3):
        runs = nearby(family, step)
        edges = sampled_labels(runs, family, each=2)
        inside = [edge for edge in edges if reader_kind(edge[1]) != "logits"]
        true = effects(runs, inside, layer_norm=layer_norm)
        errors.append((estimates_of(runs, inside, layer_norm=layer_norm) - true).abs().max())
        sizes.append(true.abs().max())
    assert 1.9 < sizes[0] / sizes[1] < 2.1
    assert 3.6 < errors[0] / errors[1] < 4.4
    assert errors[0] < 0.05 * sizes[0]


def test_more_points_are_closer_where_what_follows_bends():
    """Integrated gradients differ from the gradient of this run, and go over into each other."""
    runs = computed_in_float64("gpt2")
    edges = sampled_labels(runs, "bends", each=2)
    one, many, more = (estimates_of(runs, edges, points=points) for points in (1, 100, 200))
    assert (many - more).abs().max() <= 0.02 * more.abs().max()
    assert (one - more).abs().max() > 0.05 * more.abs().max()


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
def test_a_small_budget_gives_the_same_estimates(layer_norm):
    runs = computed_in_float64("llama-grouped")
    whole = estimates(runs, layer_norm=layer_norm)
    pieces = estimates(runs, layer_norm=layer_norm, memory_bytes=2**18)
    assert torch.allclose(pieces, whole, rtol=0.0, atol=1e-13, equal_nan=True)


def test_it_is_made_under_no_grad_and_in_inference_mode_and_leaves_nothing_behind():
    runs = family_runs("gpt2")
    arguments = runs.model, runs.corrupted_tokens, runs.clean_tokens, last_logit_difference
    hooks = [len(module._forward_hooks) for module in runs.model.modules()]
    plain = edge_estimates(*arguments)
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            assert torch.equal(edge_estimates(*arguments).nan_to_num(), plain.nan_to_num())
            assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
    assert [len(module._forward_hooks) for module in runs.model.modules()] == hooks
    assert all(p.grad is None and not p.requires_grad for p in runs.model.parameters())


def test_a_metric_of_an_earlier_position_is_estimated_too():
    runs = computed_in_float64("gemma2")
    metric = LogitDifference(answer=7, foil=11, position=-3)
    assert_linear(runs, sampled_labels(runs, "early", each=1), metric, "exact", 3)
