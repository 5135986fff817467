"""The gate: a replay that is not the model's own forward is never shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
)

from analysis import get_act_patch_direct_path_all_sources
from analysis.errors import MetricError
from analysis.metrics import AnswerProbability, KLFromClean, LogitDifference
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES
from analysis.sweep import Sweep, foreign_hooks, open_gate
from tests.reference import FLOAT32_INSIDE_TOLERANCE, FLOAT64_TOLERANCE, patched_logits
from tests.runs import (
    Edge,
    Runs,
    baseline,
    causal,
    family_model,
    family_runs,
    last_logit_difference,
    run_pair,
    sampled_edges,
)
from tests.sweep.support import measure


def broken_runs(family: str) -> Runs:
    """A model whose second MLP does a little more than its weights say."""
    runs = family_runs(family, torch.float64)
    model = family_model.__wrapped__(family, torch.float64)
    model.blocks[1].mlp.register_forward_hook(lambda module, args, output: 1.05 * output + 0.01)
    return run_pair(model, runs.clean_tokens, runs.corrupted_tokens)


@pytest.fixture(scope="module", params=["gpt2", "pythia", "llama-grouped", "gemma2"])
def broken(request) -> Runs:
    return broken_runs(request.param)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_a_model_that_is_not_its_weights_takes_the_general_path_and_gets_right_numbers(
    broken, component, layer_norm
):
    support = measure(broken, component, layer_norm, edges=4)
    assert support.engine == "hooks"
    in_float64 = "RMS" not in broken.model.cfg.normalization_type
    limit = FLOAT64_TOLERANCE * support.effect if in_float64 else FLOAT32_INSIDE_TOLERANCE
    assert support.difference <= limit


def test_the_gap_says_how_far_the_replay_was_off(broken: Runs):
    sweep = Sweep(*broken.arguments, last_logit_difference)
    assert sweep.replay_gap is not None and sweep.replay_gap > 1e-3
    assert sweep.baseline == pytest.approx(baseline(broken), abs=1e-9)


@pytest.mark.parametrize("place", ["hook_pattern", "hook_v", "hook_z"])
def test_the_gate_sees_a_change_inside_attention(place):
    runs = family_runs("gpt2")
    model = family_model.__wrapped__("gpt2")
    model.add_hook(f"blocks.2.attn.{place}", lambda value, hook: 1.01 * value, is_permanent=True)
    runs = run_pair(model, runs.clean_tokens, runs.corrupted_tokens)
    assert Sweep(*runs.arguments, last_logit_difference).engine == "hooks"


@pytest.mark.filterwarnings("ignore:For backward hooks to be called")
@pytest.mark.parametrize(
    "register",
    [register_module_forward_hook, register_module_forward_pre_hook, register_module_full_backward_hook],
)
def test_hooks_on_every_module_there_is_are_somebodys_too(register):
    """They may be made for these prompts, and leave the corrupted run as it is."""
    runs = family_runs("gpt2")
    assert foreign_hooks(runs.model) == ()
    handle = register(lambda *arguments: None)
    try:
        assert len(foreign_hooks(runs.model)) == 1
        assert Sweep(*runs.arguments, last_logit_difference).engine == "hooks"
    finally:
        handle.remove()
    assert Sweep(*runs.arguments, last_logit_difference).engine == "replay"


@pytest.mark.parametrize("factor", [1.0, 1.001])
def test_the_gate_stays_open_for_the_model_as_it_is_and_closes_for_a_small_change(factor, monkeypatch):
    runs = family_runs("gpt2", torch.float32)
    model = family_model.__wrapped__("gpt2", torch.float32)
    own = type(model.ln_final).forward
    changed = lambda norm, *args: own(norm, *args) * (factor if norm is model.ln_final else 1.0)  # noqa: E731
    monkeypatch.setattr(type(model.ln_final), "forward", changed)
    runs = run_pair(model, runs.clean_tokens, runs.corrupted_tokens)
    sweep = Sweep(*runs.arguments, last_logit_difference)
    assert sweep.engine == ("replay" if factor == 1.0 else "hooks")
    assert sweep.replay_gap is not None
    assert (sweep.replay_gap <= 1e-4) == (factor == 1.0)


def test_a_wrong_replay_is_caught_whatever_is_wrong_in_it(monkeypatch):
    """The weights change between the model's forward and the reading of them."""
    model = family_model.__wrapped__("gpt2")
    runs = family_runs("gpt2")
    runs = run_pair(model, runs.clean_tokens, runs.corrupted_tokens)
    own = type(model.blocks[1].mlp).W_in
    monkeypatch.setattr(type(model.blocks[1].mlp), "W_in", property(lambda mlp: 1.01 * own.fget(mlp)))
    sweep = Sweep(*runs.arguments, last_logit_difference)
    assert sweep.engine == "hooks"
    assert sweep.replay_gap is not None and sweep.replay_gap > 1e-4


def test_the_public_sweep_of_a_broken_model_equals_the_reference_everywhere():
    runs = broken_runs("gpt2")
    values = get_act_patch_direct_path_all_sources(*runs.arguments, last_logit_difference, "k", verbose=False)
    for edge in sampled_edges(runs, "broken", 8):
        reference = last_logit_difference(patched_logits(runs, edge, "k", "frozen"))
        assert abs(values[edge] - reference) <= 1e-12
    assert torch.equal(values != 0.0, causal(runs))


def test_pieces_of_the_general_path_may_be_skipped_and_ordered_too():
    runs = broken_runs("gpt2")
    sweep = Sweep(*runs.arguments, last_logit_difference, component="v")
    pieces = list(sweep.run())
    again = list(sweep.run(skip={pieces[0].index}))
    assert [piece.index for piece in again] == [piece.index for piece in pieces[1:]]
    assert all((old.values == new.values).all() for old, new in zip(pieces[1:], again, strict=True))


@pytest.mark.parametrize("engine", ["replay", "hooks"])
def test_a_named_metric_that_is_not_a_number_is_refused_on_either_path(engine):
    runs = family_runs("gpt2") if engine == "replay" else broken_runs("gpt2")
    nowhere = torch.full((2, runs.model.cfg.d_vocab), float("nan"), dtype=torch.float64)
    with pytest.raises(MetricError, match=r"(?i)nan|finite"):
        list(Sweep(*runs.arguments, KLFromClean(clean_logits=nowhere)).run())


@pytest.mark.parametrize("metric", [LogitDifference(answer=7, foil=11), AnswerProbability(answer=7)], ids=str)
def test_named_metrics_read_the_same_on_either_path(metric):
    runs = broken_runs("gpt2")
    sweep = Sweep(*runs.arguments, metric, component="k")
    assert sweep.engine == "hooks"
    for piece in sweep.run():
        assert piece.per_prompt is not None
        assert np.allclose(piece.per_prompt.mean(axis=1), piece.values, rtol=0, atol=1e-13)
        for edge, value in list(zip(piece.edges.tolist(), piece.values, strict=True))[:3]:
            assert abs(float(metric(patched_logits(runs, Edge(*edge), "k", "frozen"))) - value) <= 1e-12


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_exchanged_caches_are_noticed(family: str):
    runs = family_runs(family, torch.float64)
    model, tokens, clean, corrupted = runs.arguments
    with pytest.warns(UserWarning, match=r"corrupted_cache is not the run of corrupted_tokens.*exchanged"):
        Sweep(model, tokens, corrupted, clean, last_logit_difference)


@pytest.mark.parametrize(("replayed", "agrees"), [(50.001, True), (50.1, False), (float("nan"), False)])
def test_a_metric_without_a_gradient_agrees_within_a_share_of_itself(replayed: float, agrees: bool):
    runs = family_runs("gpt2")
    gate = open_gate(runs.model, runs.corrupted_tokens)

    def plain(logits: Any) -> Any:
        return 50.0

    assert gate.agrees(plain, replayed, 50.0) is agrees
