"""Whatever a person did to the model, attribution gives its own numbers or refuses in a sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools import analysis as oracle

from analysis import direct_logit_attribution
from analysis.errors import AnswerError, PathscopeError, UnsupportedModelError
from analysis.requests import UNITS, Unit
from tests.attributing import ANSWER, INCORRECT, TOKENS, model_of
from tests.families import FAMILIES, write_family
from tests.runs import family_model
from tests.sweep.tampering.parts import Held

LOGITS = "unembed.hook_out"


@contextmanager
def hooked(model: Any, name: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    model.add_hook(name, lambda value, hook: change(value))
    try:
        yield
    finally:
        model.reset_hooks(including_permanent=True)


@contextmanager
def changed(weight: Tensor, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    before = weight.detach().clone()
    weight.copy_(change(before))
    try:
        yield
    finally:
        weight.copy_(before)


def attribute(model: Any, unit: Unit = "component", *, cached: bool = False, **options: Any) -> Any:
    """Attribution of the answer against the foil, from a run of the model or from its cache."""
    cache = model.run_with_cache(TOKENS)[1] if cached else None
    given = None if cached else TOKENS
    return direct_logit_attribution(model, given, ANSWER, INCORRECT, unit=unit, cache=cache, **options)


def forbid(logits: Tensor) -> Tensor:
    logits = logits.clone()
    logits[..., 100:300] = -torch.inf
    return logits


either_way = pytest.mark.parametrize("cached", [False, True], ids=["run", "cache"])


@either_way
@pytest.mark.parametrize("unit", UNITS)
def test_forbidden_tokens_leave_the_parts_of_all_others_as_they_are(unit: Unit, cached: bool):
    model = model_of("gpt2")
    plain = attribute(model, unit).attribution
    with hooked(model, LOGITS, forbid):
        torch.testing.assert_close(attribute(model, unit, cached=cached).attribution, plain)


@either_way
def test_forbidden_tokens_do_not_excuse_another_readout(cached: bool):
    """Compared with infinity every difference is small enough."""
    model = model_of("gpt2")
    with (
        hooked(model, LOGITS, lambda logits: forbid(3.0 * logits)),
        pytest.raises(UnsupportedModelError, match="reads them in another way"),
    ):
        attribute(model, cached=cached)


@either_way
@pytest.mark.parametrize("value", [-torch.inf, torch.inf, torch.nan])
def test_an_answer_or_foil_whose_own_logit_is_not_finite_is_refused(value: float, cached: bool):
    model = model_of("gpt2")
    for role, token in (("answer", ANSWER), ("foil", INCORRECT)):

        def put(logits: Tensor, token: int = token) -> Tensor:
            logits = logits.clone()
            logits[..., token] = value
            return logits

        with (
            hooked(model, LOGITS, put),
            pytest.raises(AnswerError, match=rf"The logit of the {role} is -?(inf|nan).*forbids the token"),
        ):
            attribute(model, cached=cached)


@either_way
def test_a_padded_vocabulary_excuses_no_other_logit(cached: bool):
    """A bias of -1e4 made a tolerance of ten logits for everything."""
    model = model_of("gpt2")
    plain = attribute(model).attribution

    def pad(bias: Tensor) -> Tensor:
        return torch.cat([bias[:310], torch.full((10,), -1e4)])

    with changed(model.b_U, pad):
        assert float(model.b_U.min()) == -1e4
        torch.testing.assert_close(attribute(model, cached=cached).attribution, plain)
        with (
            hooked(model, LOGITS, lambda logits: torch.where(logits > -1e3, 1.05 * logits, logits)),
            pytest.raises(UnsupportedModelError, match="reads them in another way"),
        ):
            attribute(model, cached=cached)


@either_way
def test_one_logit_that_is_read_in_another_way_is_noticed_among_all_others(cached: bool):
    model = model_of("gpt2")

    def put(logits: Tensor) -> Tensor:
        logits = logits.clone()
        logits[..., 7] += 0.1
        return logits

    with hooked(model, LOGITS, put), pytest.raises(UnsupportedModelError, match="reads them in another way"):
        attribute(model, cached=cached)


def small(monkeypatch: pytest.MonkeyPatch, folder: Path, model_type: str, **sizes: Any) -> TransformerBridge:
    """A random model of a family outside `FAMILIES`, in compatibility mode."""
    base = FAMILIES.get(model_type, FAMILIES["llama-grouped"])[1]
    monkeypatch.setitem(FAMILIES, model_type, (model_type, base | sizes))
    directory = write_family(model_type, folder)
    model = TransformerBridge.boot_transformers(str(directory), device="cpu", dtype=torch.float32)
    with warnings.catch_warnings():
        # TransformerLens tells that some of these families keep their norms apart.
        warnings.filterwarnings("ignore", message=".* does not support fold_ln", category=UserWarning)
        model.enable_compatibility_mode(disable_warnings=True)
    return model.eval()


@either_way
def test_a_model_that_scales_its_logits_is_not_implemented(monkeypatch, tmp_path, cached: bool):
    model = small(monkeypatch, tmp_path, "granite", logits_scaling=3.0, attention_multiplier=0.3)
    for unit in UNITS:
        with pytest.raises(NotImplementedError, match="reads them in another way"):
            attribute(model, unit, cached=cached)


@either_way
@pytest.mark.parametrize("unit", UNITS)
def test_a_model_that_scales_its_streams_alone_is_attributed(monkeypatch, tmp_path, unit: Unit, cached: bool):
    scales = {"logits_scaling": 1.0, "residual_multiplier": 0.5, "embedding_multiplier": 4.0}
    model = small(monkeypatch, tmp_path, "granite", **scales, attention_multiplier=0.3)
    found = attribute(model, unit, cached=cached).attribution
    total = found[-1] if unit == "layer" else found.sum(dim=0)
    with torch.no_grad():
        logits = (model(TOKENS) - model.b_U)[:, -1]
    torch.testing.assert_close(total, logits[:, ANSWER] - logits[:, INCORRECT], atol=1e-5, rtol=0)


HYBRIDS: dict[str, dict[str, Any]] = {
    "lfm2": {"layer_types": ["conv", "full_attention", "conv"]},
    "recurrent_gemma": {"num_key_value_heads": 1, "attention_window_size": 16, "lru_width": 32},
    "mamba": {"state_size": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
    "rwkv": {"attention_hidden_size": 32},
}


@pytest.mark.parametrize("model_type", HYBRIDS)
def test_a_hybrid_or_recurrent_model_is_not_implemented(monkeypatch, tmp_path, model_type: str):
    model = small(monkeypatch, tmp_path, model_type, **HYBRIDS[model_type])
    for unit in UNITS:
        with pytest.raises(
            NotImplementedError, match=r"hybrid architecture.*Use an attention-only, GPT, Llama"
        ):
            direct_logit_attribution(model, TOKENS, ANSWER, unit=unit)


def test_an_unembedding_behind_a_projection_is_not_implemented(monkeypatch, tmp_path):
    model = small(monkeypatch, tmp_path, "opt", word_embed_proj_dim=16)
    with pytest.raises(NotImplementedError, match=r"stream has 32 dimensions and its unembedding reads 16"):
        attribute(model)


def test_a_family_whose_norms_stay_apart_is_told_so(monkeypatch, tmp_path):
    latent = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8}
    experts = {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 3}
    sizes = latent | experts | {"num_key_value_heads": 4, "v_head_dim": 8, "num_experts_per_tok": 2}
    model = small(monkeypatch, tmp_path, "deepseek_v3", **sizes)
    with pytest.raises(PathscopeError, match="this family keeps its norms apart: choose another model"):
        attribute(model)


@either_way
def test_any_part_in_training_mode_is_refused(cached: bool):
    model = model_of("gpt2")
    cache = model.run_with_cache(TOKENS)[1] if cached else None
    parts = model.blocks[1], model.blocks[2].mlp, model.original_model.transformer.drop
    for part in parts:
        part.train()
        try:
            with pytest.raises(PathscopeError, match=r"in training mode \(at .*\).*model\.eval\(\) first"):
                direct_logit_attribution(model, TOKENS, ANSWER, cache=cache)
        finally:
            part.eval()
    direct_logit_attribution(model, TOKENS, ANSWER, cache=cache)


@contextmanager
def steered_beside_an_outlier() -> Iterator[Any]:
    """A model whose stream has a dimension of size 5e3 that no logit reads, under a small steering hook."""
    model, outlier = family_model("llama", torch.float32), torch.tensor(3)
    towards = 2.0 * (model.W_U[:, ANSWER] - model.W_U[:, INCORRECT]).index_fill(0, outlier, 0.0)
    with (
        changed(model.W_E, lambda table: table.index_fill(1, outlier, 5e3)),
        changed(model.W_U, lambda table: table.index_fill(0, outlier, 0.0)),
        hooked(model, "blocks.1.hook_resid_post", lambda stream: stream + towards),
    ):
        yield model


def own_difference(model: Any) -> Tensor:
    with torch.no_grad():
        logits = (model(TOKENS) - model.b_U)[:, -1].double()
    return logits[:, ANSWER] - logits[:, INCORRECT]


@either_way
def test_a_steering_hook_beside_an_outlier_dimension_is_noticed(cached: bool):
    """Its share of the stream is below a thousandth, and it turns the sign of the sum."""
    with steered_beside_an_outlier() as model:
        _, cache = model.run_with_cache(TOKENS)
        theirs = oracle.direct_logit_attribution(model, TOKENS, ANSWER, INCORRECT)
        final = cache["blocks.2.hook_resid_post"]
        missing = (cache.decompose_resid().sum(dim=0) - final).norm() / final.norm()
        assert float(missing) < 1e-3
        wrong = theirs.attribution.sum(dim=0) * own_difference(model) < 0
        assert bool(wrong.any())
        with pytest.raises(UnsupportedModelError, match=r"miss the final residual stream by up to .* hook"):
            attribute(model, "component", cached=cached)


@either_way
@pytest.mark.parametrize("unit", ["layer", "head"])
def test_what_a_steering_hook_writes_is_in_the_other_units(unit: Unit, cached: bool):
    with steered_beside_an_outlier() as model:
        found = attribute(model, unit, cached=cached).attribution
        total = found[-1] if unit == "layer" else found.sum(dim=0)
        torch.testing.assert_close(total.double(), own_difference(model), atol=1e-6, rtol=0)


@either_way
@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "gemma2", "pythia"])
def test_heads_that_do_not_reach_the_stream_are_refused(family: str, cached: bool):
    """An ablated attention output was told as if its heads had spoken, and the remainder took it back."""
    model = model_of(family)
    with hooked(model, "blocks.1.hook_attn_out", torch.zeros_like):
        with pytest.raises(UnsupportedModelError, match="The heads of layer 1 miss its attention output"):
            attribute(model, "head", cached=cached)
        labels = attribute(model, cached=cached).labels
        ablated = attribute(model, cached=cached).attribution[labels.index("1_attn_out")]
        assert not ablated.any()


@pytest.mark.parametrize("unit", UNITS)
def test_a_part_that_is_held_for_one_run_is_judged_by_a_run_of_that_shape(unit: Unit):
    model = family_model.__wrapped__("gpt2")
    plain = attribute(model, unit).attribution
    _, cache = model.run_with_cache(TOKENS)
    held = Held(cache["blocks.1.hook_mlp_out"]).eval()
    model.blocks[1].mlp.add_module("_original_component", held)
    found = direct_logit_attribution(model, None, ANSWER, INCORRECT, unit=unit, cache=cache)
    torch.testing.assert_close(found.attribution, plain)


def test_heads_are_checked_on_the_model_where_a_cache_cannot_tell():
    model = model_of("gpt2")
    _, cache = model.run_with_cache(TOKENS)
    alone = {name: value for name, value in cache.items() if not name.endswith("attn_out")}
    plain = attribute(model, "head").attribution
    found = direct_logit_attribution(model, None, ANSWER, INCORRECT, unit="head", cache=alone)
    torch.testing.assert_close(found.attribution, plain)
    with (
        hooked(model, "blocks.1.hook_attn_out", torch.zeros_like),
        pytest.raises(UnsupportedModelError, match="The heads of layer 1 miss its attention output"),
    ):
        direct_logit_attribution(model, None, ANSWER, INCORRECT, unit="head", cache=alone)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_untouched_model_passes_every_check_at_every_position(family: str, unit: Unit):
    assert torch.isfinite(attribute(model_of(family), unit, cached=True, pos=None).attribution).all()
