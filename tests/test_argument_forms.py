"""No public function ends in anything but an answer or a sentence, whatever form its arguments have."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformer_lens.model_bridge import TransformerBridge

from analysis import direct_logit_attribution
from analysis.errors import PathscopeError
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, UNITS
from tests.argument_forms import (
    CACHES,
    COMPONENT_FORMS,
    EITHER,
    FUNCTIONS,
    METRICS,
    MODE_FORMS,
    ONE_PROMPT,
    ONE_PROMPT_CACHES,
    POSITIONS,
    REFUSED,
    SAME,
    SOURCES,
    TOKENS,
    Z_ALONE,
    Form,
    plain_runs,
)
from tests.argument_outcomes import agrees, outcome, thorough, usually, worst
from tests.attributing import ANSWER
from tests.families import FAMILIES, write_family
from tests.runs import Runs, run_pair

TWO = torch.tensor([[1, 5, 66, 7], [1, 50, 61, 72]])


@lru_cache(maxsize=256)
def plainly(path: str, batch: int, function: str, component: str, layer_norm: str, source: Any) -> Any:
    call, _ = FUNCTIONS[function]
    runs = plain_runs(path, batch)
    metric = METRICS["callable"][0].make(runs)
    options = {"component": component, "layer_norm": layer_norm, "source": source}
    return outcome(call, *runs.arguments, metric, **options)


def holds(
    path: str,
    batch: int,
    function: str,
    *,
    tokens: Form = TOKENS["int64 tensor"],
    caches: Form = CACHES["ActivationCache"],
    metric: str = "callable",
    component: Any = "q",
    layer_norm: Any = "frozen",
    source: Any = (0, 1),
    positions: str = "all",
) -> None:
    """The property: the call with these forms comes to what they mean together."""
    call, shape = FUNCTIONS[function]
    runs = plain_runs(path, batch)
    of_metric, of_estimate = METRICS[metric]
    of_caches = caches.meaning
    if caches is Z_ALONE and layer_norm != "exact":
        of_caches = REFUSED
    meaning = worst(
        tokens.meaning,
        of_caches,
        of_estimate if function == "edge_attribution" else of_metric.meaning,
        COMPONENT_FORMS[component],
        MODE_FORMS[layer_norm],
        SOURCES[source] if "source" in call.__code__.co_varnames else SAME,
        POSITIONS[positions][1] if function == "Sweep" else SAME,
    )
    plain: Any = ""
    if meaning is SAME:
        plain = plainly(path, batch, function, component, layer_norm, source)
    found = outcome(
        call,
        runs.model,
        tokens.make(runs),
        *caches.make(runs),
        of_metric.make(runs),
        component=component,
        layer_norm=layer_norm,
        source=source,
        positions=POSITIONS[positions][0],
    )
    agrees(found, plain, meaning, shape)


#: (path, function): the general path takes a forward pass for every few edges, so it is asked for one source.
calls = st.sampled_from(
    [
        *(("replay", name) for name in sorted(FUNCTIONS)),
        ("hooks", "edge_attribution"),
        ("hooks", "get_act_patch_direct_path"),
        ("hooks", "Sweep"),
    ]
)


@thorough
@given(
    call=calls,
    batch=st.sampled_from([1, 2]),
    tokens=usually("int64 tensor", sorted(TOKENS)),
    caches=usually("ActivationCache", sorted(CACHES)),
    metric=usually("callable", sorted(METRICS)),
    component=usually("q", list(COMPONENT_FORMS)),
    layer_norm=usually("frozen", list(MODE_FORMS)),
    source=usually((0, 1), list(SOURCES)),
    positions=usually("all", sorted(POSITIONS)),
)
def test_every_form_of_every_argument_is_answered_or_refused(
    call, batch, tokens, caches, metric, component, layer_norm, source, positions
):
    path, function = call
    holds(
        path,
        batch,
        function,
        tokens=TOKENS[tokens],
        caches=CACHES[caches],
        metric=metric,
        component=component,
        layer_norm=layer_norm,
        source=source,
        positions=positions,
    )


every_function = pytest.mark.parametrize("function", FUNCTIONS)
#: All of them on the replay, and on the general path those that take it in few forward passes.
on_either_path = pytest.mark.parametrize(
    ("path", "function"),
    [*(("replay", name) for name in FUNCTIONS), ("hooks", "get_act_patch_direct_path"), ("hooks", "Sweep")],
)


@every_function
@pytest.mark.parametrize("form", TOKENS)
def test_every_form_of_tokens(function: str, form: str):
    holds("replay", 2, function, tokens=TOKENS[form])


@on_either_path
@pytest.mark.parametrize("form", ONE_PROMPT)
def test_one_prompt_needs_no_batch_axis(path: str, function: str, form: str):
    holds(path, 1, function, tokens=ONE_PROMPT[form])


@on_either_path
@pytest.mark.parametrize("form", ONE_PROMPT_CACHES)
def test_the_caches_of_one_prompt_need_no_batch_axis(path: str, function: str, form: str):
    holds(path, 1, function, caches=ONE_PROMPT_CACHES[form])
    holds(path, 1, function, caches=ONE_PROMPT_CACHES[form], tokens=ONE_PROMPT["1-D tensor"])


@on_either_path
@pytest.mark.parametrize("form", CACHES)
def test_every_form_of_caches(path: str, function: str, form: str):
    holds(path, 2, function, caches=CACHES[form])


@on_either_path
@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
def test_exact_mode_needs_z_alone_and_frozen_mode_says_that_it_needs_the_scale(
    path: str, function: str, layer_norm: str
):
    holds(path, 2, function, caches=Z_ALONE, layer_norm=layer_norm)


@on_either_path
@pytest.mark.parametrize("form", METRICS)
def test_every_form_of_metric(path: str, function: str, form: str):
    holds(path, 2, function, metric=form)


@every_function
@pytest.mark.parametrize("component", COMPONENT_FORMS, ids=repr)
def test_every_form_of_component(function: str, component: Any):
    holds("replay", 2, function, component=component)


@every_function
@pytest.mark.parametrize("layer_norm", MODE_FORMS, ids=repr)
def test_every_form_of_layer_norm(function: str, layer_norm: Any):
    holds("replay", 2, function, layer_norm=layer_norm)


@pytest.mark.parametrize("function", ["get_act_patch_direct_path", "Sweep"])
@pytest.mark.parametrize("source", SOURCES, ids=repr)
def test_every_form_of_source(function: str, source: Any):
    holds("replay", 2, function, source=source)


@pytest.mark.parametrize("path", ["replay", "hooks"])
@pytest.mark.parametrize("positions", POSITIONS)
def test_every_form_of_positions(path: str, positions: str):
    holds(path, 2, "Sweep", positions=positions)


@on_either_path
@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_inference_mode_changes_no_number(path: str, function: str, component: str, layer_norm: str):
    plainly(path, 2, function, component, layer_norm, (0, 1))
    with torch.inference_mode():
        holds(path, 2, function, component=component, layer_norm=layer_norm)


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


@every_function
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


def test_only_what_is_a_sentence_passes_for_one():
    with pytest.raises(ZeroDivisionError):
        outcome(lambda: 1 / 0)
    with pytest.raises(AssertionError):
        agrees("", torch.zeros(2), EITHER, (2,))
    with pytest.raises(AssertionError):
        agrees(torch.ones(2), torch.zeros(2), SAME, (2,))
    with pytest.raises(AssertionError):
        agrees(torch.ones(2), torch.zeros(2), REFUSED, (2,))
