"""The public sweeps under TransformerLens 3.9, on its bridge and on its `HookedTransformer`.

The frozen formula is what 3.9 computes itself in `transformer_lens.tools.analysis`, so that is
the oracle; where it does not answer, the slow reference is.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from transformer_lens.tools import analysis as transformer_lens_analysis

from analysis import (
    edge_attribution,
    get_act_patch_direct_path,
    get_act_patch_direct_path_all_sources,
)
from analysis.errors import UnsupportedModelError
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, HeadInput
from analysis.sweep import Sweep
from tests.compat.hooked_transformers import HOOKED, hooked_runs
from tests.reference import patched_logits
from tests.runs import Runs, baseline, causal, family_runs, last_logit_difference, sampled_edges

#: Families whose 3.9 bridge boots and runs in float64.
BRIDGED = ("gpt2", "pythia", "llama", "opt", "phi")


def assert_equal_to_the_oracle(runs: Runs, component: HeadInput) -> None:
    oracle = transformer_lens_analysis.get_act_patch_direct_path_all_sources(
        *runs.arguments, last_logit_difference, component, verbose=False
    ).double()
    ours = get_act_patch_direct_path_all_sources(
        *runs.arguments, last_logit_difference, component, verbose=False
    )
    effect = (oracle - baseline(runs))[causal(runs)].abs().max()
    assert effect > 1e-3
    assert (ours - oracle).abs().max() <= 1e-4 * effect


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", BRIDGED)
def test_frozen_mode_agrees_with_transformer_lens_on_its_bridge(family, component):
    assert_equal_to_the_oracle(family_runs(family), component)


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize(
    "name", [name for name in HOOKED if name not in ("llama-grouped", "attention-only without norm")]
)
def test_frozen_mode_agrees_with_transformer_lens_on_a_hooked_transformer(name, component):
    assert_equal_to_the_oracle(hooked_runs(name), component)


@pytest.mark.parametrize("batch", [1, 3])
def test_frozen_mode_agrees_for_any_number_of_prompts(batch):
    assert_equal_to_the_oracle(family_runs("gpt2", batch=batch), "k")


@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_frozen_mode_agrees_in_float32(component):
    for runs in (family_runs("gpt2", torch.float32), hooked_runs("attention-only", torch.float32)):
        oracle = transformer_lens_analysis.get_act_patch_direct_path_all_sources(
            *runs.arguments, last_logit_difference, component, verbose=False
        )
        ours = get_act_patch_direct_path_all_sources(
            *runs.arguments, last_logit_difference, component, verbose=False
        )
        assert (ours - oracle).abs().max() <= 1e-5


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("name", HOOKED)
def test_every_hooked_transformer_agrees_with_the_slow_reference(name, component, layer_norm):
    runs = hooked_runs(name)
    ours = get_act_patch_direct_path_all_sources(
        *runs.arguments, last_logit_difference, component, verbose=False, layer_norm=layer_norm
    )
    effect = (ours - baseline(runs))[causal(runs)].abs().max()
    for edge in sampled_edges(runs, name + component):
        reference = last_logit_difference(patched_logits(runs, edge, component, layer_norm))
        assert abs(ours[edge] - reference) <= 1e-9 * effect, edge


@pytest.mark.parametrize("name", [name for name in HOOKED if name != "shortformer"])
def test_the_replay_knows_the_hooked_transformer(name):
    sweep = Sweep(*hooked_runs(name).arguments, last_logit_difference)
    assert sweep.engine == "replay"
    assert sweep.replay_gap is not None and sweep.replay_gap <= 1e-12


def test_the_replay_does_not_know_positions_that_only_queries_and_keys_read():
    """Shortformer adds positions to what q and k are projected from, and not to v's input."""
    sweep = Sweep(*hooked_runs("shortformer").arguments, last_logit_difference)
    assert sweep.engine == "hooks"
    assert sweep.replay_gap is None


def test_an_attention_only_model_is_replayed_without_mlps():
    runs = hooked_runs("attention-only")
    assert all(getattr(block, "mlp", None) is None for block in runs.model.blocks)
    assert Sweep(*runs.arguments, last_logit_difference).engine == "replay"


def test_a_model_without_layer_norm_is_refused_in_a_sentence():
    runs = hooked_runs("attention-only", normalization_type=None)
    with pytest.raises(UnsupportedModelError, match="ln1"):
        get_act_patch_direct_path(*runs.arguments, last_logit_difference, 0, 1, verbose=False)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
def test_the_estimate_answers_for_a_hooked_transformer(layer_norm):
    runs = hooked_runs("attention-only")
    step = 1e-4
    near = dict(runs.corrupted_cache)
    for layer in range(3):
        name = f"blocks.{layer}.attn.hook_z"
        near[name] = near[name] + step * (runs.clean_cache[name] - near[name])
    arguments = (runs.model, runs.corrupted_tokens, near, runs.corrupted_cache, last_logit_difference)
    estimate = edge_attribution(*arguments, "k", layer_norm=layer_norm)
    exact = get_act_patch_direct_path_all_sources(*arguments, "k", verbose=False, layer_norm=layer_norm)
    effect = torch.where(causal(runs), exact - baseline(runs), 0.0)
    assert (estimate - effect).abs().max() <= 0.01 * effect.abs().max()


def test_an_unfolded_hooked_transformer_warns_in_frozen_mode_and_is_exact_in_exact_mode():
    runs = hooked_runs("gpt2", normalization_type="LN")
    with pytest.warns(UserWarning, match=r"(?i)fold"):
        frozen = get_act_patch_direct_path(*runs.arguments, last_logit_difference, 0, 1, verbose=False)
    exact = get_act_patch_direct_path(
        *runs.arguments, last_logit_difference, 0, 1, verbose=False, layer_norm="exact"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = transformer_lens_analysis.get_act_patch_direct_path(
            *runs.arguments, last_logit_difference, 0, 1, verbose=False
        )
    assert (frozen - oracle).abs().max() <= 1e-6
    for edge in [edge for edge in sampled_edges(runs, "unfolded", 12) if (edge.sl, edge.sh) == (0, 1)]:
        reference = last_logit_difference(patched_logits(runs, edge, "q", "exact"))
        assert abs(exact[edge.dl, edge.dh] - reference) <= 1e-10
