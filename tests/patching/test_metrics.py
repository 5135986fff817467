"""What a metric may read, and which metrics and arguments the public sweeps refuse."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from analysis import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
from analysis.errors import MetricError, PathscopeError
from tests.reference import patched_logits
from tests.runs import (
    family_runs,
    last_logit_difference,
    sampled_edges,
)


def test_a_metric_may_read_every_position_of_the_full_logits():
    runs = family_runs("gpt2")

    def spread(logits):
        return logits.log_softmax(-1).std() + logits[:, 2:, 5].sum()

    ours = get_act_patch_direct_path_all_sources(*runs.arguments, spread, "v", verbose=False)
    for edge in sampled_edges(runs, "spread", 4):
        assert abs(ours[edge] - spread(patched_logits(runs, edge, "v", "frozen"))) <= 1e-10


def test_a_metric_may_treat_the_prompts_of_a_batch_differently():
    runs = family_runs("gpt2", batch=3)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)

    def weighted(logits):
        return (logits[:, -1, 7] * weights).sum()

    ours = get_act_patch_direct_path_all_sources(*runs.arguments, weighted, "k", verbose=False)
    for edge in sampled_edges(runs, "weighted", 4):
        assert abs(ours[edge] - weighted(patched_logits(runs, edge, "k", "frozen"))) <= 1e-10


def test_a_metric_sees_the_models_own_shape_of_logits():
    runs = family_runs("gpt2", batch=3)
    shapes = set()

    def recording(logits):
        shapes.add(tuple(logits.shape))
        return logits[:, -1, 7].mean()

    get_act_patch_direct_path(*runs.arguments, recording, 1, 0, verbose=False)
    assert shapes == {(3, 9, runs.model.cfg.d_vocab)}


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (lambda logits: logits[:, -1, 0], "scalar|one number|shape"),
        (lambda logits: logits[:, -1, 0].mean() * float("nan"), "(?i)nan|finite"),
        (lambda logits: logits[:, -1, 0].mean() * float("inf"), "(?i)inf|finite"),
    ],
    ids=["vector", "nan", "infinite"],
)
def test_a_metric_that_is_not_one_finite_number_is_refused(metric, says):
    runs = family_runs("gpt2")
    with pytest.raises(MetricError, match=says):
        get_act_patch_direct_path(*runs.arguments, metric, 0, 0, verbose=False)


# Errors


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"component": "z"}, ["z", "q", "k", "v"]),
        ({"layer_norm": "linear"}, ["linear", "frozen", "exact"]),
        ({"src_layer": 3}, ["3", "2"]),
        ({"src_layer": -1}, ["-1"]),
        ({"src_head": 4}, ["4", "3"]),
        ({"src_head": -1}, ["-1"]),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named_with_its_limit(wrong, says):
    runs = family_runs("gpt2")
    arguments = {"src_layer": 0, "src_head": 0, "verbose": False} | wrong
    with pytest.raises(PathscopeError) as error:
        get_act_patch_direct_path(*runs.arguments, last_logit_difference, **arguments)
    assert all(word in str(error.value) for word in says), str(error.value)


@pytest.mark.parametrize(
    "sweep",
    [partial(get_act_patch_direct_path, src_layer=0, src_head=0), get_act_patch_direct_path_all_sources],
)
def test_prompts_of_different_lengths_are_refused(sweep):
    runs, longer = family_runs("gpt2"), family_runs("gpt2", n_tokens=11)
    with pytest.raises(PathscopeError, match="11"):
        sweep(
            runs.model,
            runs.corrupted_tokens,
            longer.clean_cache,
            runs.corrupted_cache,
            last_logit_difference,
            verbose=False,
        )


def test_a_cache_without_the_head_outputs_names_the_missing_entry():
    runs = family_runs("gpt2")
    clean = {name: value for name, value in runs.clean_cache.items() if name != "blocks.1.attn.hook_z"}
    with pytest.raises(PathscopeError, match=r"blocks\.1\.attn\.hook_z"):
        get_act_patch_direct_path_all_sources(
            runs.model,
            runs.corrupted_tokens,
            clean,
            runs.corrupted_cache,
            last_logit_difference,
            verbose=False,
        )
