"""The public sweeps under TransformerLens 3.9, on its bridge and on its `HookedTransformer`.

The frozen formula is what 3.9 computes itself in `transformer_lens.tools.analysis`, so that is
the oracle; where it does not answer, the slow reference is.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import pytest
import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.tools import analysis as transformer_lens_analysis

from analysis import (
    edge_attribution,
    get_act_patch_direct_path,
    get_act_patch_direct_path_all_sources,
)
from analysis.errors import UnsupportedModelError
from analysis.requests import COMPONENTS, LAYER_NORM_MODES, Component
from analysis.sweep import Sweep
from tests.reference import patched_logits
from tests.runs import Runs, baseline, causal, family_runs, last_logit_difference, run_pair, sampled_edges

# That it went away in 4.0 is why it is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated:DeprecationWarning")

_SIZES: dict[str, Any] = {
    "n_layers": 3,
    "d_model": 32,
    "n_heads": 4,
    "d_head": 8,
    "d_mlp": 64,
    "d_vocab": 50,
    "n_ctx": 16,
    "act_fn": "gelu_new",
    "normalization_type": "LNPre",
    "device": "cpu",
}
_ROTARY = {"positional_embedding_type": "rotary", "rotary_dim": 8}

#: `HookedTransformer` configurations: what each adds to the sizes above.
HOOKED: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "attention-only": {"attn_only": True},
    "pythia": _ROTARY | {"parallel_attn_mlp": True, "act_fn": "gelu"},
    "gpt-j": _ROTARY | {"parallel_attn_mlp": True, "rotary_adjacent_pairs": True},
    "gpt-neo": {
        "use_local_attn": True,
        "attn_types": ["global", "local", "global"],
        "window_size": 4,
        "use_attn_scale": False,
    },
    "llama": _ROTARY
    | {"normalization_type": "RMSPre", "gated_mlp": True, "act_fn": "silu", "final_rms": True},
    "llama-grouped": _ROTARY
    | {"normalization_type": "RMSPre", "gated_mlp": True, "act_fn": "silu", "n_key_value_heads": 2},
    "softcapped": {"attn_scores_soft_cap": 5.0, "output_logits_soft_cap": 3.0},
    "shortformer": {"positional_embedding_type": "shortformer"},
}
#: Families whose 3.9 bridge boots and runs in float64.
BRIDGED = ("gpt2", "pythia", "llama", "opt", "phi")


@lru_cache(maxsize=32)
def hooked_runs(name: str, dtype: torch.dtype = torch.float64, **changes: Any) -> Runs:
    """A random `HookedTransformer`, run on prompts that differ at tokens 4 and 6."""
    model = HookedTransformer(HookedTransformerConfig(**_SIZES | HOOKED[name] | changes, dtype=dtype))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.25 * noise)
        if model.cfg.gated_mlp:  # as in every pretrained one
            for block in model.blocks:
                block.mlp.b_in.zero_()
    clean = torch.randint(1, 50, (2, 9), generator=generator)
    corrupted = clean.clone()
    corrupted[:, [4, 6]] = 1 + (clean[:, [4, 6]] + 20) % 49
    return run_pair(model.requires_grad_(False).eval(), clean, corrupted)


def assert_equal_to_the_oracle(runs: Runs, component: Component) -> None:
    oracle = transformer_lens_analysis.get_act_patch_direct_path_all_sources(
        *runs.arguments, last_logit_difference, component, verbose=False
    ).double()
    ours = get_act_patch_direct_path_all_sources(
        *runs.arguments, last_logit_difference, component, verbose=False
    )
    effect = (oracle - baseline(runs))[causal(runs)].abs().max()
    assert effect > 1e-3
    assert (ours - oracle).abs().max() <= 1e-4 * effect


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("family", BRIDGED)
def test_frozen_mode_agrees_with_transformer_lens_on_its_bridge(family, component):
    assert_equal_to_the_oracle(family_runs(family), component)


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize(
    "name", [name for name in HOOKED if name not in ("llama-grouped", "attention-only without norm")]
)
def test_frozen_mode_agrees_with_transformer_lens_on_a_hooked_transformer(name, component):
    assert_equal_to_the_oracle(hooked_runs(name), component)


@pytest.mark.parametrize("batch", [1, 3])
def test_frozen_mode_agrees_for_any_number_of_prompts(batch):
    assert_equal_to_the_oracle(family_runs("gpt2", batch=batch), "k")


@pytest.mark.parametrize("component", COMPONENTS)
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
@pytest.mark.parametrize("component", COMPONENTS)
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
