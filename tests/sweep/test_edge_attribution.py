"""The first-order estimate is the derivative of the measured sweep, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from analysis import edge_attribution, get_act_patch_direct_path_all_sources
from analysis.metrics import AnswerProbability, KLFromClean, LogitDifference
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES
from analysis.sweep import edge_attributions
from tests.families import FAMILIES
from tests.runs import Runs, causal, computed_in_float64, family_runs, last_logit_difference

#: How far towards the clean run the small patches go.
STEP = 1e-3


def nearly_corrupted(runs: Runs, step: float) -> Mapping[str, Tensor]:
    """The corrupted run's head outputs moved `step` of the way to the clean run's."""
    moved = dict(runs.corrupted_cache)
    for layer in range(runs.model.cfg.n_layers):
        name = f"blocks.{layer}.attn.hook_z"
        moved[name] = runs.corrupted_cache[name] + step * (
            runs.clean_cache[name] - runs.corrupted_cache[name]
        )
    return moved


def exact_effect(runs: Runs, clean_cache, metric, component, layer_norm) -> Tensor:
    values = get_act_patch_direct_path_all_sources(
        runs.model,
        runs.corrupted_tokens,
        clean_cache,
        runs.corrupted_cache,
        metric,
        component,
        verbose=False,
        layer_norm=layer_norm,
    )
    with torch.no_grad():
        corrupted = metric(runs.model(runs.corrupted_tokens))
    return torch.where(causal(runs), values - corrupted, 0.0)


def assert_first_order(runs: Runs, metric, component, layer_norm) -> None:
    near = nearly_corrupted(runs, STEP)
    estimate = edge_attribution(
        runs.model,
        runs.corrupted_tokens,
        near,
        runs.corrupted_cache,
        metric,
        component,
        layer_norm=layer_norm,
    )
    exact = exact_effect(runs, near, metric, component, layer_norm)
    # Where the slope happens to vanish the second order is all there is; 2 % of the largest
    # effect is well above it and well below any edge that matters.
    matters = exact.abs() >= 0.02 * exact.abs().max()
    assert matters.sum() >= 5
    assert ((estimate - exact)[matters].abs() <= 0.01 * exact[matters].abs()).all()
    assert (estimate - exact).abs().max() <= 0.01 * exact.abs().max()


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "gemma2"])
def test_the_estimate_is_the_derivative_of_the_exact_sweep(family, component, layer_norm):
    assert_first_order(computed_in_float64(family), last_logit_difference, component, layer_norm)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_the_estimate_on_post_norm_blocks_is_first_order_in_the_write(component, layer_norm):
    """Each run's write has its own scale there, so the clean scale is moved along with z."""
    runs = computed_in_float64("gemma2")
    near = {
        name: value for name, value in runs.corrupted_cache.items() if "hook_z" in name or "scale" in name
    }
    for layer in range(runs.model.cfg.n_layers):
        z, scale = f"blocks.{layer}.attn.hook_z", f"blocks.{layer}.ln1_post.hook_scale"
        # The write is z / scale: moving that by STEP with the corrupted scale kept moves both.
        ratio = runs.corrupted_cache[scale] / runs.clean_cache[scale]
        clean = runs.clean_cache[z] * ratio.unsqueeze(-1)
        near[z] = runs.corrupted_cache[z] + STEP * (clean - runs.corrupted_cache[z])
    estimate = edge_attribution(
        runs.model,
        runs.corrupted_tokens,
        near,
        runs.corrupted_cache,
        last_logit_difference,
        component,
        layer_norm=layer_norm,
    )
    exact = exact_effect(runs, near, last_logit_difference, component, layer_norm)
    matters = exact.abs() >= 0.02 * exact.abs().max()
    assert ((estimate - exact)[matters].abs() <= 0.01 * exact[matters].abs()).all()
    full = edge_attribution(*runs.arguments, last_logit_difference, component, layer_norm=layer_norm)
    assert torch.allclose(full * STEP, estimate, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    "metric",
    [LogitDifference(answer=7, foil=11), AnswerProbability(answer=7), "divergence"],
    ids=["logit difference", "probability", "divergence"],
)
def test_the_estimate_takes_named_metrics_as_well(metric):
    runs = computed_in_float64("gpt2")
    if metric == "divergence":
        with torch.no_grad():
            metric = KLFromClean(clean_logits=runs.model(runs.clean_tokens)[:, -1])
    for component in HEAD_INPUTS:
        assert_first_order(runs, metric, component, "exact")


def test_the_estimate_is_linear_in_the_patch():
    runs = family_runs("gpt2")
    whole = edge_attribution(*runs.arguments, last_logit_difference, "v")
    half = edge_attribution(
        runs.model,
        runs.corrupted_tokens,
        nearly_corrupted(runs, 0.5),
        runs.corrupted_cache,
        last_logit_difference,
        "v",
    )
    assert torch.allclose(half, 0.5 * whole, rtol=1e-9, atol=1e-14)


def test_the_estimate_is_of_the_queries_under_a_frozen_norm_unless_asked_otherwise():
    """As the exact functions are, so that the two may be compared as they stand."""
    runs = family_runs("gpt2")
    found = edge_attribution(*runs.arguments, last_logit_difference)
    asked = edge_attribution(*runs.arguments, last_logit_difference, "q", layer_norm="frozen")
    assert torch.equal(found, asked)
    every = edge_attributions(*runs.arguments, last_logit_difference)
    assert tuple(every) == HEAD_INPUTS
    for component, estimate in every.items():
        alone = edge_attribution(*runs.arguments, last_logit_difference, component)
        assert torch.allclose(estimate, alone, rtol=1e-12, atol=1e-15)


def test_the_two_norm_modes_differ_to_first_order():
    """The scale itself moves to first order, so one estimate cannot serve both modes."""
    runs = family_runs("gpt2")
    frozen = edge_attribution(*runs.arguments, last_logit_difference, "v", layer_norm="frozen")
    exact = edge_attribution(*runs.arguments, last_logit_difference, "v", layer_norm="exact")
    assert (frozen - exact).abs().max() > 0.02 * exact.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_estimate_has_the_shape_of_the_sweep_and_zero_where_there_is_no_path(dtype):
    runs = family_runs("pythia", dtype)
    estimate = edge_attribution(*runs.arguments, last_logit_difference, "q")
    n_layers, n_heads = runs.model.cfg.n_layers, runs.model.cfg.n_heads
    assert estimate.shape == (n_layers, n_heads, n_layers, n_heads)
    assert estimate.dtype == dtype
    assert torch.equal(estimate != 0.0, causal(runs))
    assert not estimate.requires_grad


def test_the_estimate_of_a_run_into_itself_is_zero():
    runs = family_runs("gpt2")
    estimate = edge_attribution(
        runs.model,
        runs.corrupted_tokens,
        runs.corrupted_cache,
        runs.corrupted_cache,
        last_logit_difference,
        "k",
    )
    assert estimate.abs().max() <= 1e-14


def test_the_estimate_leaves_no_gradient_and_no_hook():
    runs = family_runs("gpt2")
    enabled = torch.is_grad_enabled()
    hooks = [len(module._forward_hooks) for module in runs.model.modules()]
    edge_attribution(*runs.arguments, last_logit_difference, "q")
    assert torch.is_grad_enabled() == enabled
    assert all(p.grad is None and not p.requires_grad for p in runs.model.parameters())
    assert [len(module._forward_hooks) for module in runs.model.modules()] == hooks


def test_the_estimate_is_made_under_no_grad_as_well():
    runs = family_runs("gpt2")
    outside = edge_attribution(*runs.arguments, last_logit_difference, "q")
    with torch.no_grad():
        inside = edge_attribution(*runs.arguments, last_logit_difference, "q")
    assert torch.equal(inside, outside)
