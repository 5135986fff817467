"""Number formats and model states in which a sweep's numbers would mean nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from analysis import edge_attribution, get_act_patch_direct_path
from analysis.errors import PathscopeError
from analysis.requests import HEAD_INPUTS
from analysis.sweep import Sweep
from tests.families import FAMILIES
from tests.reference import patched_logits
from tests.runs import (
    family_model,
    family_runs,
    last_logit_difference,
    run_pair,
    sampled_edges,
)

SINGLE_SOURCE: dict[str, Any] = {"src_layer": 0, "src_head": 1, "verbose": False}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("family", ["gpt2", "llama-grouped"])
def test_half_precision_weights_are_refused_with_the_way_out(family, dtype):
    runs = family_runs(family, dtype)
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(PathscopeError, match=rf"{name}.*model\.to\(torch\.float32\)"):
        get_act_patch_direct_path(*runs.arguments, last_logit_difference, **SINGLE_SOURCE)
    with pytest.raises(PathscopeError, match=name):
        edge_attribution(*runs.arguments, last_logit_difference, "q")


def test_the_way_out_of_half_precision_works():
    runs = family_runs("llama-grouped", torch.bfloat16)
    model = family_model.__wrapped__("llama-grouped", torch.bfloat16).to(torch.float32)
    runs = run_pair(model, runs.clean_tokens, runs.corrupted_tokens)
    values = get_act_patch_direct_path(*runs.arguments, last_logit_difference, **SINGLE_SOURCE)
    assert values.dtype == torch.float32
    for edge in [e for e in sampled_edges(runs, "way out", 12) if (e.sl, e.sh) == (0, 1)]:
        reference = last_logit_difference(patched_logits(runs, edge, "q", "frozen"))
        assert abs(values[edge.dl, edge.dh] - reference) <= 5e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_float32_agrees_with_float64_to_rounding(family):
    single, double = family_runs(family, torch.float32), family_runs(family, torch.float64)
    for component in HEAD_INPUTS:
        one, other = (
            get_act_patch_direct_path(
                *runs.arguments, last_logit_difference, component=component, **SINGLE_SOURCE
            )
            for runs in (single, double)
        )
        assert one.dtype == torch.float32 and other.dtype == torch.float64
        assert (one - other).abs().max() <= 1e-5


@pytest.mark.parametrize("precision", ["tf32", "bfloat16", ""])
def test_an_unknown_precision_is_refused_by_name(precision):
    with pytest.raises(PathscopeError, match=f"(?s){precision}.*float32"):
        Sweep(*family_runs("gpt2").arguments, last_logit_difference, precision=precision)


def test_a_model_in_training_mode_is_refused():
    """Dropout would add noise to each patched run and none to the replay."""
    runs = family_runs("gpt2", torch.float32)
    training = replace(runs, model=family_model.__wrapped__("gpt2", torch.float32).train())
    with pytest.raises(PathscopeError, match=r"eval\(\)"):
        Sweep(*training.arguments, last_logit_difference)


@pytest.mark.parametrize("entry", [Sweep, edge_attribution], ids=["sweep", "estimate"])
@pytest.mark.parametrize("bridged", [True, False])
def test_what_is_no_model_of_transformer_lens_is_refused_with_the_way_out(bridged, entry):
    runs = family_runs("gpt2")
    model = runs.model.original_model if bridged else "gpt2"
    with pytest.raises(PathscopeError, match=rf"The model is {type(model).__name__}.*boot_transformers"):
        entry(model, *runs.arguments[1:], last_logit_difference)


def test_a_model_with_gradients_on_gives_the_same_numbers_and_keeps_no_graph():
    runs = family_runs("gpt2")
    model = family_model.__wrapped__("gpt2").requires_grad_(True)
    tracked = replace(runs, model=model)
    sweep = Sweep(*tracked.arguments, last_logit_difference)
    plain = Sweep(*runs.arguments, last_logit_difference)
    for one, other in zip(sweep.run(), plain.run(), strict=True):
        assert np.array_equal(one.values, other.values)
    values = get_act_patch_direct_path(*tracked.arguments, last_logit_difference, **SINGLE_SOURCE)
    estimate = edge_attribution(*tracked.arguments, last_logit_difference, "q")
    assert not values.requires_grad and not estimate.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("memory_bytes", ["1GB", 1.5])
def test_a_budget_that_is_no_number_of_bytes_is_a_sentence(memory_bytes: Any):
    runs = family_runs("gpt2")
    with pytest.raises(PathscopeError, match="whole number of bytes"):
        Sweep(*runs.arguments, last_logit_difference, memory_bytes=memory_bytes)
