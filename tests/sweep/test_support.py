"""Every family, component and LayerNorm mode against the slow reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from analysis.errors import UnsupportedModelError
from analysis.requests import COMPONENTS, LAYER_NORM_MODES
from analysis.sweep import Sweep
from tests import families
from tests.families import FAMILIES
from tests.reference import FLOAT32_INSIDE_TOLERANCE, FLOAT64_TOLERANCE, patched_logits
from tests.runs import Edge, computed_in_float64, family_runs, last_logit_difference
from tests.sweep.support import measure, models_of_this_release, table, transformer_lens_answers

_SIZES = families._ROPE_SIZES
#: Families that are not on the list of supported ones: what the replay does not know must go to
#: the general path and be right, or be refused.
OTHERS = {
    "bloom": ("bloom", {"hidden_size": 32, "n_layer": 3, "n_head": 4}),
    "cohere": ("cohere", _SIZES | {"num_key_value_heads": 2}),
    "mixtral": (
        "mixtral",
        _SIZES | {"num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "mpt": ("mpt", {"d_model": 32, "n_heads": 4, "n_layers": 3, "max_seq_len": 64}),
    "stablelm": ("stablelm", _SIZES | {"num_key_value_heads": 2}),
}


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_replay_agrees_with_the_slow_reference_in_float64(family, component, layer_norm):
    support = measure(computed_in_float64(family), component, layer_norm)
    assert support.engine == "replay"
    assert support.effect > 1e-4
    assert support.share <= FLOAT64_TOLERANCE


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_replay_agrees_with_the_reference_on_the_models_own_arithmetic(family, component):
    support = measure(family_runs(family), component, "exact", edges=3)
    assert support.engine == "replay"
    assert support.difference <= FLOAT32_INSIDE_TOLERANCE


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_replay_agrees_with_the_reference_in_float32(family, component):
    support = measure(family_runs(family, torch.float32), component, "frozen", edges=3)
    assert support.engine == "replay"
    assert support.difference <= 5e-6


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("family", OTHERS)
def test_a_family_that_the_replay_does_not_know_takes_the_general_path(family, component, monkeypatch):
    monkeypatch.setitem(FAMILIES, family, OTHERS[family])
    support = measure(family_runs(family, torch.float32), component, "exact", edges=3)
    assert support.engine == "hooks"
    assert support.difference <= 5e-6


def test_a_model_without_attention_heads_is_refused_in_a_sentence(monkeypatch):
    state_space = {"hidden_size": 32, "num_hidden_layers": 3, "state_size": 8}
    monkeypatch.setitem(FAMILIES, "mamba", ("mamba", state_space))
    runs = family_runs("mamba", torch.float32)
    with pytest.raises(UnsupportedModelError, match="not defined for MambaForCausalLM"):
        Sweep(*runs.arguments, last_logit_difference)


def test_a_model_that_scales_what_a_head_writes_is_refused_or_scaled(monkeypatch):
    """Granite adds `residual_multiplier` times the attention output to the residual stream."""
    sizes = _SIZES | {"num_key_value_heads": 2}
    monkeypatch.setitem(FAMILIES, "scaled", ("granite", sizes | {"residual_multiplier": 0.5}))
    runs = family_runs("scaled", torch.float32)
    with pytest.raises(UnsupportedModelError, match="residual"):
        Sweep(*runs.arguments, last_logit_difference)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
def test_a_head_with_the_same_output_still_writes_otherwise_under_another_post_norm_scale(layer_norm):
    """Other heads of its layer changed, and with them the scale that its share is divided by."""
    runs = computed_in_float64("gemma2")
    name = "blocks.0.attn.hook_z"
    z = runs.clean_cache[name].clone()
    z[:, :, 1] = runs.corrupted_cache[name][:, :, 1]
    runs = replace(runs, clean_cache={**runs.clean_cache, name: z})
    edge = Edge(0, 1, 2, 0)
    sweep = Sweep(
        *runs.arguments, last_logit_difference, component="v", layer_norm=layer_norm, sources=[(0, 1)]
    )
    found = {
        tuple(row): value
        for piece in sweep.run()
        for row, value in zip(piece.edges.tolist(), piece.values, strict=True)
    }
    reference = float(last_logit_difference(patched_logits(runs, edge, "v", layer_norm)))
    assert abs(reference - sweep.baseline) > 1e-5
    assert abs(found[edge] - reference) <= 1e-12


def test_transformer_lens_answers_where_it_is_used_as_an_oracle_and_refuses_elsewhere():
    assert all(transformer_lens_answers(family_runs("gpt2"), component) for component in COMPONENTS)
    assert [c for c in COMPONENTS if transformer_lens_answers(family_runs("qwen2"), c)] == ["q"]
    assert not transformer_lens_answers(family_runs("gemma2"), "q")


def test_the_support_table_says_what_was_measured():
    models = models_of_this_release()
    assert list(models) == list(FAMILIES)
    lines = table({"Gemma 2": models["gemma2"], "Qwen 2": models["qwen2"]}).splitlines()
    head, _, gemma, qwen = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert head[:5] == ["Family", "q", "k", "v", "Engine"]
    assert gemma[:5] == ["Gemma 2", "yes", "yes", "yes", "replay"]
    assert qwen[:5] == ["Qwen 2", "yes", "yes", "yes", "replay"]
    assert (gemma[-1], qwen[-1]) == ("no", "q")
    assert 0.0 < float(gemma[5]) <= FLOAT64_TOLERANCE


def test_the_support_table_marks_what_is_off(monkeypatch):
    monkeypatch.setattr("tests.sweep.support.FLOAT64_TOLERANCE", 0.0)
    row = table({"GPT-2": lambda: computed_in_float64("gpt2")}).splitlines()[2]
    assert "**no**" in row
