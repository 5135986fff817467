"""A model whose parts have other shapes than most is answered or refused by every public function."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge

from analysis import direct_logit_attribution
from analysis.errors import PathscopeError
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, UNITS
from tests.argument_forms import EITHER, FUNCTIONS, METRICS
from tests.argument_outcomes import agrees, outcome
from tests.attributing import ANSWER
from tests.families import FAMILIES, write_family
from tests.runs import Runs, run_pair

TWO = torch.tensor([[1, 5, 66, 7], [1, 50, 61, 72]])

UNUSUAL: dict[str, tuple[str, dict[str, Any]]] = {
    "multi-head latent attention": (
        "deepseek_v3",
        FAMILIES["llama"][1]
        | {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8}
        | {"v_head_dim": 8, "n_routed_experts": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 3}
        | {"num_experts_per_tok": 2, "moe_intermediate_size": 32},
    ),
    "projected embedding": ("opt", FAMILIES["opt"][1] | {"word_embed_proj_dim": 16}),
    "convolution": (
        "lfm2",
        FAMILIES["llama-grouped"][1] | {"layer_types": ["conv", "full_attention", "conv"]},
    ),
    "recurrence": (
        "recurrent_gemma",
        FAMILIES["llama"][1] | {"num_key_value_heads": 1, "attention_window_size": 16, "lru_width": 32},
    ),
}


@pytest.fixture(scope="module")
def unusual(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Name -> the runs of a model whose parts have other shapes than most."""

    @lru_cache
    def runs(name: str) -> Runs:
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            patch.setitem(FAMILIES, name, UNUSUAL[name])
            # TransformerLens tells that some of these families keep their norms apart.
            warnings.filterwarnings("ignore", message=".* does not support fold_ln", category=UserWarning)
            folder = write_family(name, tmp_path_factory.mktemp("unusual"))
            model = TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float32)
            model.enable_compatibility_mode(disable_warnings=True)
        return run_pair(model.eval(), TWO, torch.where(TWO == 66, 67, TWO))

    return runs


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("name", UNUSUAL)
def test_a_model_of_unusual_shape_is_answered_or_refused(
    unusual: Any, name: str, component: str, layer_norm: str, function: str
):
    call, shape = FUNCTIONS[function]
    metric = METRICS["callable"][0].make(unusual(name))
    found = outcome(call, *unusual(name).arguments, metric, component=component, layer_norm=layer_norm)
    agrees(found, "", EITHER, shape)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", UNUSUAL)
def test_attribution_refuses_a_model_of_unusual_shape(unusual: Any, name: str, unit: Any):
    runs = unusual(name)
    with pytest.raises(PathscopeError, match=r"hybrid architecture|a projection lies between|norms apart"):
        direct_logit_attribution(runs.model, TWO, ANSWER, unit=unit)
