"""What is read of a model, and what makes the replay step back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from analysis.decoder import UnknownArchitecture, read_decoder
from analysis.errors import UnsupportedModelError
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES
from analysis.sweep import Sweep
from tests.configurations import EVERY_FAMILY
from tests.reference import FLOAT64_TOLERANCE, patched_logits
from tests.runs import (
    Runs,
    computed_in_float64,
    family_model,
    family_runs,
    last_logit_difference,
    run_pair,
    sampled_edges,
)
from tests.sweep.support import measure


def _cache(runs: Runs) -> dict[str, torch.Tensor]:
    return dict(runs.corrupted_cache.items())


def _declaring(family: str, **fields: object) -> Runs:
    """A fresh model of `family` whose Hugging Face configuration declares `fields` as well."""
    runs = family_runs(family)
    model = family_model.__wrapped__(family)
    for name, value in fields.items():
        setattr(model.original_model.config, name, value)
    return run_pair(model, runs.clean_tokens, runs.corrupted_tokens)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("swiglu_limit", 7.0),
        ("activation_sparsity_pattern", [0.0, 0.95, 0.0]),
        ("logits_soft_cap", 30.0),
        ("ffn_clamp", {"up": None, "down": 10.0}),
        ("quantization_config", {"quant_method": "bitnet"}),
    ],
)
def test_a_bound_that_only_patched_rows_may_reach_is_never_passed_over(name, value):
    runs = _declaring("llama", **{name: value})
    with pytest.raises(UnknownArchitecture, match=name):
        read_decoder(runs.model, _cache(runs))
    assert Sweep(*runs.arguments, last_logit_difference).engine == "hooks"


@pytest.mark.parametrize("value", [None, 0.0, False, [], [0.0, 0.0], {"up": None}], ids=str)
def test_a_bound_that_bounds_nothing_is_none(value):
    runs = _declaring("llama", swiglu_limit=value)
    assert read_decoder(runs.model, _cache(runs)).blocks[0].attention.clip is None


@pytest.mark.parametrize("part", ["", "attn", "mlp"])
def test_a_module_whose_code_was_not_read_is_not_replayed(part):
    runs = family_runs("llama")
    model = family_model.__wrapped__("llama")
    module = getattr(model.blocks[1], part) if part else model.blocks[1]
    module.__class__ = type("Unheard", (type(module),), {})
    with pytest.raises(UnknownArchitecture, match="Unheard"):
        read_decoder(model, _cache(runs))


def test_an_attention_output_behind_a_norm_of_another_kind_is_refused():
    runs = family_runs("gemma2")
    model = family_model.__wrapped__("gemma2")
    model.cfg.normalization_type = "Batch"
    with pytest.raises(UnsupportedModelError, match=r"'Batch' is not LN or RMS.*Choose"):
        Sweep(model, *runs.arguments[1:], last_logit_difference)


@pytest.mark.parametrize("field", ["positional_embedding_type", "attention_dir"])
def test_other_positions_and_other_directions_are_not_replayed(field):
    runs = family_runs("gpt2")
    model = family_model.__wrapped__("gpt2")
    setattr(model.cfg, field, "shortformer")
    with pytest.raises(UnknownArchitecture, match="shortformer"):
        read_decoder(model, _cache(runs))


@pytest.mark.filterwarnings("ignore:.*ArchitectureAdapter does not support:UserWarning")
@pytest.mark.parametrize("family", ["olmoe", "minimax_m2", "bitnet", "gpt_oss", "bloom", "mixtral"])
def test_families_with_a_part_of_their_own_are_not_replayed(family):
    assert family in EVERY_FAMILY
    runs = family_runs(family, torch.float32)
    with pytest.raises(UnknownArchitecture):
        read_decoder(runs.model, _cache(runs))


def _with_strong_source(runs: Runs) -> Runs:
    """`runs` with a clean run whose heads write five times as much."""
    clean = {
        name: 5.0 * value if name.endswith("attn.hook_z") else value
        for name, value in runs.clean_cache.items()
    }
    return replace(runs, clean_cache=clean)


@pytest.fixture(scope="module")
def barely_clipped() -> Runs:
    """OLMo with a clip that no q, k or v of the corrupted run reaches."""
    runs = computed_in_float64("olmo")
    largest = max(
        float(runs.corrupted_cache[f"blocks.{layer}.attn.hook_{component}"].abs().max())
        for layer in range(3)
        for component in HEAD_INPUTS
    )
    model = computed_in_float64.__wrapped__("olmo").model
    model.original_model.config.clip_qkv = 1.001 * largest
    clipped = run_pair(model, runs.clean_tokens, runs.corrupted_tokens)
    assert torch.equal(model(runs.corrupted_tokens), runs.model(runs.corrupted_tokens))
    return _with_strong_source(clipped)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_a_clip_that_the_corrupted_run_does_not_reach_clips_patched_rows(
    barely_clipped, component, layer_norm
):
    support = measure(barely_clipped, component, layer_norm, edges=8)
    assert support.engine == "replay"
    assert support.share <= FLOAT64_TOLERANCE


@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_that_clip_is_reached_by_patched_rows(barely_clipped, component):
    free = _with_strong_source(computed_in_float64("olmo"))
    off = [
        last_logit_difference(patched_logits(runs, edge, component, "frozen"))
        for edge in sampled_edges(free, component + "frozen", 8)
        for runs in (free, barely_clipped)
    ]
    assert max(abs(float(one - other)) for one, other in zip(off[::2], off[1::2], strict=True)) > 1e-3
