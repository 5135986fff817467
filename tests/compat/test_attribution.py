"""Direct logit attribution under TransformerLens 3.9, on its `HookedTransformer` and on its bridge."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools import analysis as oracle

from analysis import direct_logit_attribution
from analysis.errors import AnswerError
from analysis.requests import UNITS, Unit
from tests.families import FAMILIES, write_family
from tests.runs import family_model

TOLERANCE = 1e-5
TOKENS = torch.tensor([[0, 5, 66, 7, 81, 9], [0, 50, 61, 72, 8, 19]])
ANSWER, INCORRECT = 40, 50

_SIZES: dict[str, Any] = {
    "n_layers": 3,
    "d_model": 32,
    "n_heads": 4,
    "d_head": 8,
    "n_ctx": 64,
    "d_vocab": 100,
    "act_fn": "gelu",
    "normalization_type": "LNPre",
    "seed": 0,
}
_ROTARY: dict[str, Any] = {"positional_embedding_type": "rotary", "rotary_dim": 4}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": _SIZES,
    "pythia": _SIZES | _ROTARY | {"parallel_attn_mlp": True},
    "llama": _SIZES | _ROTARY | {"normalization_type": "RMSPre", "gated_mlp": True, "final_rms": True},
    "llama-grouped": _SIZES | _ROTARY | {"normalization_type": "RMSPre", "n_key_value_heads": 2},
    "attention only": _SIZES | {"attn_only": True},
    "gemma2": _SIZES
    | _ROTARY
    | {
        "normalization_type": "RMS",
        "use_normalization_before_and_after": True,
        "output_logits_soft_cap": 3.0,
        "gated_mlp": True,
    },
    "no norm": _SIZES | {"normalization_type": None},
}
#: Blocks with nothing between attention and MLP, of which 3.9 gives no layer trajectory.
WITHOUT_MID = ("pythia", "attention only", "gpt-j", "phi")


@cache
def hooked(name: str) -> HookedTransformer:
    model = HookedTransformer(HookedTransformerConfig(**CONFIGS[name]))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if not parameter_name.startswith("ln_final"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def bridge(family: str) -> TransformerBridge:
    return family_model(family, torch.float32)


def before_the_cap(model: Any, logits: Tensor) -> Tensor:
    cap = getattr(model.cfg, "output_logits_soft_cap", None) or 0.0
    return cap * torch.atanh(logits.double() / cap) if cap > 0 else logits.double()


def assert_parts_sum_to_the_logit_difference(model: Any, unit: Unit) -> None:
    result = direct_logit_attribution(model, TOKENS, ANSWER, INCORRECT, unit=unit, pos=None)
    total = result.attribution[-1] if unit == "layer" else result.attribution.sum(dim=0)
    with torch.no_grad():
        logits = before_the_cap(model, model(TOKENS)) - model.b_U
    expected = logits[..., ANSWER] - logits[..., INCORRECT]
    scale = max(1.0, float(logits.abs().max()))
    torch.testing.assert_close(total.double(), expected, atol=TOLERANCE * scale, rtol=0)


def assert_agreement(model: Any, unit: Unit, pos: int | None) -> None:
    theirs, ours = (
        attribute(model, TOKENS, ANSWER, INCORRECT, unit=unit, pos=pos)
        for attribute in (oracle.direct_logit_attribution, direct_logit_attribution)
    )
    assert ours.labels == theirs.labels
    torch.testing.assert_close(ours.attribution, theirs.attribution, atol=TOLERANCE, rtol=1e-5)


def answered(names: Any) -> list[tuple[str, Unit]]:
    """What 3.9 answers, and rightly: not the heads of post-norm blocks, nor every trajectory."""
    return [
        (name, unit)
        for name in names
        for unit in UNITS
        if (name, unit) != ("gemma2", "head") and not (name in WITHOUT_MID and unit == "layer")
    ]


def test_this_is_the_older_release():
    assert version("transformer_lens") == "3.9.0"


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_parts_sum_to_the_logit_difference_of_a_hooked_transformer(name: str, unit: Unit):
    assert_parts_sum_to_the_logit_difference(hooked(name), unit)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_sum_to_the_logit_difference_of_a_bridge(family: str, unit: Unit):
    assert_parts_sum_to_the_logit_difference(bridge(family), unit)


@pytest.mark.parametrize("pos", [-1, None], ids=["last", "all"])
@pytest.mark.parametrize(("name", "unit"), answered(CONFIGS))
def test_it_agrees_with_transformer_lens_on_a_hooked_transformer(name: str, unit: Unit, pos: int | None):
    assert_agreement(hooked(name), unit, pos)


@pytest.mark.parametrize("pos", [-1, None], ids=["last", "all"])
@pytest.mark.parametrize(("family", "unit"), answered(FAMILIES))
def test_it_agrees_with_transformer_lens_on_a_bridge(family: str, unit: Unit, pos: int | None):
    assert_agreement(bridge(family), unit, pos)


@pytest.mark.parametrize("name", ["pythia", "attention only"])
def test_the_layer_trajectory_has_one_entry_per_block_where_nothing_lies_between(name: str):
    result = direct_logit_attribution(hooked(name), TOKENS, ANSWER, unit="layer")
    assert result.labels == ["0_pre", "1_pre", "2_pre", "final_post"]


@pytest.mark.parametrize("name", ["gpt2", "gemma2"])
@pytest.mark.parametrize("unit", UNITS)
def test_a_cache_without_batch_dimension_stands_for_the_run(name: str, unit: Unit):
    model = hooked(name)
    _, cache = model.run_with_cache(TOKENS[:1])
    batched = direct_logit_attribution(model, TOKENS[:1], ANSWER, unit=unit).attribution
    result = direct_logit_attribution(model, None, ANSWER, unit=unit, cache=cache.remove_batch_dim())
    torch.testing.assert_close(result.attribution, batched[:, 0])


@pytest.mark.parametrize("pos", [-1, None], ids=["last", "all"])
def test_an_answer_per_prompt_attributes_each_prompt_to_its_own(pos: int | None):
    answers = torch.tensor([40, 41])
    result = direct_logit_attribution(hooked("gpt2"), TOKENS, answers, pos=pos)
    for row in range(2):
        alone = direct_logit_attribution(hooked("gpt2"), TOKENS[row], int(answers[row]), pos=pos)
        torch.testing.assert_close(result.attribution[:, row], alone.attribution[:, 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("pos", [np.int64(2), torch.tensor(2), np.array(2)], ids=repr)
def test_an_index_may_be_of_any_integer_type(pos: Any):
    reference = direct_logit_attribution(hooked("gpt2"), TOKENS, ANSWER, pos=2).attribution
    torch.testing.assert_close(
        direct_logit_attribution(hooked("gpt2"), TOKENS, ANSWER, pos=pos).attribution, reference
    )


def test_text_works_on_the_bridge():
    model = bridge("gpt2")
    tokens = model.to_tokens("a b c")
    reference = direct_logit_attribution(model, tokens, model.to_single_token(" a")).attribution
    torch.testing.assert_close(direct_logit_attribution(model, "a b c", " a").attribution, reference)
    with pytest.raises(AnswerError, match="'ab' is 2 tokens"):
        direct_logit_attribution(model, "a b c", "ab")


def test_a_bridge_outside_compatibility_mode_is_refused(tmp_path: Any):
    model = TransformerBridge.boot_transformers(str(write_family("gpt2", tmp_path)), device="cpu")
    with pytest.raises(ValueError, match="not in compatibility mode"):
        direct_logit_attribution(model, TOKENS, ANSWER)


def test_a_hooked_transformer_with_an_unfolded_final_norm_is_refused():
    """3.9 itself takes every `HookedTransformer` for folded, and gives parts that do not add up."""
    model = HookedTransformer(HookedTransformerConfig(**_SIZES | {"normalization_type": "LN"}))
    with torch.no_grad():
        model.ln_final.w.mul_(1.5)
    with pytest.raises(ValueError, match=r"not folded into W_U and b_U.*fold_ln=True"):
        direct_logit_attribution(model, TOKENS, ANSWER)
