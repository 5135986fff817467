"""The public sweeps against TransformerLens, the slow reference, and a circuit set by hand."""

from __future__ import annotations

import pytest
import torch
from transformer_lens import patching

from analysis import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES
from tests.induction import (
    DECOY,
    INDUCTION,
    OUTPUT_LOGIT,
    PREVIOUS,
    answer_over_foil,
    induction_runs,
)
from tests.patching.sweeping import all_sources
from tests.reference import FLOAT32_INSIDE_TOLERANCE, head_write, patched_logits
from tests.runs import Edge, baseline, causal, family_runs, last_logit_difference, sampled_edges

#: Families of which TransformerLens's own exact function answers for q, k and v.
ORACLE_FAMILIES = ("gpt2", "pythia", "llama")


# TransformerLens


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", ORACLE_FAMILIES)
def test_exact_mode_agrees_with_transformer_lens(family, component, batch):
    runs = family_runs(family, torch.float64, batch=batch)
    oracle = patching.get_act_patch_direct_path_all_sources(
        *runs.arguments, last_logit_difference, component, verbose=False
    ).double()
    ours = all_sources(runs, component, "exact")
    effect = (oracle - baseline(runs))[causal(runs)].abs().max()
    assert (ours - oracle).abs().max() <= 1e-4 * effect


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", ORACLE_FAMILIES)
def test_exact_mode_agrees_with_transformer_lens_in_float32(family, component):
    runs = family_runs(family, torch.float32)
    oracle = patching.get_act_patch_direct_path_all_sources(
        *runs.arguments, last_logit_difference, component, verbose=False
    )
    assert (all_sources(runs, component, "exact") - oracle).abs().max() <= 1e-5


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", [*ORACLE_FAMILIES, "phi", "qwen2"])
def test_the_reference_itself_agrees_with_transformer_lens(family, component):
    """TransformerLens refuses k and v where keys are shared, and rounds its results to float32."""
    runs = family_runs(family)
    if family == "qwen2" and component != "q":
        with pytest.raises(ValueError, match="n_key_value_heads"):
            patching.get_act_patch_direct_path(
                *runs.arguments, last_logit_difference, 0, 1, component, verbose=False
            )
        return
    oracle = patching.get_act_patch_direct_path(
        *runs.arguments, last_logit_difference, 0, 1, component, verbose=False
    )
    for edge in (Edge(0, 1, 1, 3), Edge(0, 1, 2, 0)):
        reference = last_logit_difference(patched_logits(runs, edge, component, "exact"))
        assert abs(float(oracle[edge.dl, edge.dh]) - float(reference)) <= 1e-6


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", ["gpt2", "opt", "llama-grouped", "gemma2"])
def test_exact_mode_applies_the_norms_own_weights_where_they_are_not_folded(family, component):
    runs = family_runs(family, folded=False)
    ours = all_sources(runs, component, "exact")
    for edge in sampled_edges(runs, family + component, 4):
        reference = last_logit_difference(patched_logits(runs, edge, component, "exact"))
        assert abs(ours[edge] - reference) <= FLOAT32_INSIDE_TOLERANCE, edge


def test_frozen_mode_warns_where_the_norm_is_not_folded():
    runs = family_runs("gpt2", folded=False)
    with pytest.warns(UserWarning, match=r"(?i)fold"):
        ours = get_act_patch_direct_path(*runs.arguments, last_logit_difference, 0, 1, verbose=False)
    for dh in range(runs.model.cfg.n_heads):
        reference = last_logit_difference(patched_logits(runs, Edge(0, 1, 2, dh), "q", "frozen"))
        assert abs(ours[2, dh] - reference) <= 1e-10


# The circuit set by hand


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_the_one_k_path_of_the_induction_circuit_carries_the_whole_effect(component, layer_norm):
    runs = induction_runs()
    with torch.no_grad():
        clean = float(answer_over_foil(runs.model(runs.clean_tokens)))
    corrupted = baseline(runs, answer_over_foil)
    assert (clean, corrupted) == pytest.approx((OUTPUT_LOGIT, 0.0), abs=1e-6)
    values = get_act_patch_direct_path_all_sources(
        *runs.arguments, answer_over_foil, component, verbose=False, layer_norm=layer_norm
    )
    recovery = (values - corrupted) / (clean - corrupted)
    expected = torch.zeros_like(recovery)
    if component == "k":
        expected[(*PREVIOUS, *INDUCTION)] = 1.0
    assert (recovery - expected)[causal(runs)].abs().max() <= 1e-6


def test_the_decoy_of_the_induction_circuit_does_write_something_else():
    """Were its write unchanged, its zero effect would prove nothing."""
    runs = induction_runs()
    for source in (PREVIOUS, DECOY):
        edge = Edge(*source, *INDUCTION)
        delta = head_write(runs, runs.clean_cache, edge) - head_write(runs, runs.corrupted_cache, edge)
        assert delta.abs().max() == pytest.approx(1.0, abs=1e-5)
