"""The two public sweeps: what they promise, and what must hold of them on any model."""

from __future__ import annotations

import inspect

import pytest
import torch

from analysis import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES
from tests.families import FAMILIES
from tests.patching.sweeping import all_sources
from tests.reference import patched_logits
from tests.runs import (
    Edge,
    Runs,
    baseline,
    causal,
    family_model,
    family_runs,
    last_logit_difference,
)


def n_hooks(model: torch.nn.Module) -> int:
    """Hooks of torch's and of TransformerLens's own kind on every module of `model`."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "fwd_hooks", "bwd_hooks")
    return sum(len(getattr(module, kind, ())) for module in model.modules() for kind in kinds)


# Signatures, shapes and types


def test_the_signatures_are_the_documented_ones():
    leading = ["model", "corrupted_tokens", "clean_cache", "corrupted_cache", "patching_metric"]
    single = inspect.signature(get_act_patch_direct_path).parameters
    every = inspect.signature(get_act_patch_direct_path_all_sources).parameters
    assert list(single) == [*leading, "src_layer", "src_head", "component", "verbose", "layer_norm"]
    assert list(every) == [*leading, "component", "verbose", "layer_norm"]
    for parameters in (single, every):
        defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
        assert defaults == {"component": "q", "verbose": True, "layer_norm": "frozen"}
        kinds = {name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
        assert kinds == {"layer_norm"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_have_the_models_shape_and_dtype(dtype):
    runs = family_runs("gpt2", dtype)
    n_layers, n_heads = runs.model.cfg.n_layers, runs.model.cfg.n_heads
    one = get_act_patch_direct_path(*runs.arguments, last_logit_difference, 0, 0, verbose=False)
    every = all_sources(runs, "q", "frozen")
    assert (one.shape, one.dtype) == ((n_layers, n_heads), dtype)
    assert (every.shape, every.dtype) == ((n_layers, n_heads, n_layers, n_heads), dtype)
    assert not one.requires_grad and not every.requires_grad


def test_a_cell_without_a_causal_path_is_zero_and_every_other_is_measured():
    runs = family_runs("gpt2")
    values = all_sources(runs, "v", "frozen")
    assert torch.equal(values != 0.0, causal(runs))


def test_positional_arguments_mean_what_the_specification_says():
    runs = family_runs("gpt2")
    named = get_act_patch_direct_path(
        *runs.arguments, last_logit_difference, src_layer=0, src_head=1, component="k", verbose=False
    )
    assert torch.equal(
        get_act_patch_direct_path(*runs.arguments, last_logit_difference, 0, 1, "k", False), named
    )
    assert torch.equal(
        get_act_patch_direct_path_all_sources(*runs.arguments, last_logit_difference, "k", False)[0, 1], named
    )


@pytest.mark.parametrize("verbose", [True, False])
def test_a_progress_bar_is_drawn_only_when_verbose(capsys, verbose):
    runs = family_runs("gpt2")
    get_act_patch_direct_path(*runs.arguments, last_logit_difference, 1, 0, verbose=verbose)
    get_act_patch_direct_path_all_sources(*runs.arguments, last_logit_difference, verbose=verbose)
    drawn = capsys.readouterr().err
    assert ("4/4" in drawn and "48/48" in drawn) if verbose else drawn == ""


# Identities


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", ["gpt2", "gemma2", "phi"])
def test_patching_a_run_into_itself_leaves_the_baseline(family, component, layer_norm):
    runs = family_runs(family)
    same = Runs(
        runs.model, runs.corrupted_tokens, runs.corrupted_tokens, runs.corrupted_cache, runs.corrupted_cache
    )
    values = all_sources(same, component, layer_norm)[causal(runs)]
    floor = 1e-12 if family == "gpt2" else 1e-6
    assert torch.allclose(values, torch.tensor(baseline(runs), dtype=values.dtype), rtol=0, atol=floor)


@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_each_source_of_the_full_sweep_equals_its_single_source_sweep(component):
    runs = family_runs("gpt2")
    every = all_sources(runs, component, "exact")
    for layer in range(runs.model.cfg.n_layers):
        for head in range(runs.model.cfg.n_heads):
            one = get_act_patch_direct_path(
                *runs.arguments,
                last_logit_difference,
                layer,
                head,
                component,
                verbose=False,
                layer_norm="exact",
            )
            assert torch.allclose(every[layer, head], one, rtol=0, atol=1e-13)


def test_a_source_in_the_last_layer_has_no_causal_cell():
    runs = family_runs("gpt2")
    last = runs.model.cfg.n_layers - 1
    values = get_act_patch_direct_path(*runs.arguments, last_logit_difference, last, 0, verbose=False)
    assert torch.equal(values, torch.zeros_like(values))


def test_a_token_that_comes_after_what_the_metric_reads_changes_nothing():
    runs = family_runs("gpt2", differences=(6,))

    def earlier(logits):
        return logits[:, 5, 7].mean()

    values = get_act_patch_direct_path_all_sources(*runs.arguments, earlier, "v", verbose=False)
    assert torch.allclose(
        values[causal(runs)], torch.tensor(baseline(runs, earlier), dtype=values.dtype), rtol=0, atol=1e-13
    )


def test_nothing_stays_hooked_after_a_metric_fails():
    runs = family_runs("gpt2")
    before = n_hooks(runs.model)
    calls = []

    def failing(logits):
        calls.append(logits.shape)
        if len(calls) > 1:
            raise RuntimeError("the metric gave up")
        return logits[:, -1, 0].mean()

    with pytest.raises(RuntimeError, match="gave up"):
        get_act_patch_direct_path_all_sources(*runs.arguments, failing, verbose=False)
    assert n_hooks(runs.model) == before
    all_sources.cache_clear()
    again = all_sources(runs, "q", "frozen")
    assert torch.allclose(
        again[0, 1, 2, 2],
        last_logit_difference(patched_logits(runs, Edge(0, 1, 2, 2), "q", "frozen")),
        rtol=0,
        atol=1e-12,
    )


def test_the_count_of_hooks_sees_a_hook_that_stays():
    model = family_model("gpt2")
    before = n_hooks(model)
    model.add_hook("blocks.0.attn.hook_z", lambda value, hook: value)
    try:
        assert n_hooks(model) > before
    finally:
        model.reset_hooks()
    assert n_hooks(model) == before


def test_caches_and_tokens_are_left_as_they_were():
    runs = family_runs("gpt2")
    tensors = [runs.corrupted_tokens, *runs.clean_cache.values(), *runs.corrupted_cache.values()]
    before = [tensor.clone() for tensor in tensors]
    get_act_patch_direct_path_all_sources(*runs.arguments, last_logit_difference, "v", verbose=False)
    assert all(torch.equal(old, new) for old, new in zip(before, tensors, strict=True))


def test_only_the_documented_cache_entries_are_needed():
    runs = family_runs("gpt2")
    layers = range(runs.model.cfg.n_layers)
    z = [f"blocks.{layer}.attn.hook_z" for layer in layers]
    scales = [f"blocks.{layer}.ln1.hook_scale" for layer in layers]
    clean = {name: runs.clean_cache[name] for name in z}
    corrupted = {name: runs.corrupted_cache[name] for name in z + scales}
    for layer_norm in LAYER_NORM_MODES:
        values = get_act_patch_direct_path_all_sources(
            runs.model,
            runs.corrupted_tokens,
            clean,
            corrupted,
            last_logit_difference,
            verbose=False,
            layer_norm=layer_norm,
        )
        assert torch.equal(values, all_sources(runs, "q", layer_norm))


# Warnings


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folded_model_brings_no_warning(family, recwarn):
    runs = family_runs(family)
    get_act_patch_direct_path(*runs.arguments, last_logit_difference, 1, 0, verbose=False)
    assert not recwarn.list
