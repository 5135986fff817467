"""No public function ends in anything but an answer or a sentence, whatever form its arguments have."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES
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


def test_only_what_is_a_sentence_passes_for_one():
    with pytest.raises(ZeroDivisionError):
        outcome(lambda: 1 / 0)
    with pytest.raises(AssertionError):
        agrees("", torch.zeros(2), EITHER, (2,))
    with pytest.raises(AssertionError):
        agrees(torch.ones(2), torch.zeros(2), SAME, (2,))
    with pytest.raises(AssertionError):
        agrees(torch.ones(2), torch.zeros(2), REFUSED, (2,))
