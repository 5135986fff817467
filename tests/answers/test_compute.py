"""Results are what the analyses give on the experiment's own runs, with their provenance."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import analysis.answers.compute
from analysis import models
from analysis.attribution.direct_logit import direct_logit_attribution
from analysis.attribution.of_run import require_whole
from analysis.errors import AnswerError, PathscopeError, PromptError
from analysis.experiment import prompts
from analysis.experiment import runs as activations
from analysis.experiment.keys import versions
from analysis.metrics import named_metric
from analysis.nodes import causal_edges
from analysis.patching.direct_path import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
from analysis.requests import METRIC_NAMES
from analysis.results import AllSourcesRequest, AttributionRequest, OverviewRequest, PathRequest, Request
from analysis.store.store import Store
from tests.experiments import on

#: One family for each thing that a stored run has to carry: plain, softcaps and post-norms,
#: parallel blocks, grouped keys and values.
FAMILIES = ("gpt2", "gemma2", "pythia", "llama-grouped")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture(params=FAMILIES)
def experiment(request, family_directory):
    return on(family_directory(request.param))


@pytest.fixture
def plain(family_directory):
    return on(family_directory("gpt2"))


def compute(request: Request[Any], store: Store) -> Any:
    """The result, whose type follows from the request's."""
    return analysis.answers.compute.compute(request, store)


def fresh_runs(experiment):
    """Bridge, prompt pair, and whole caches of both runs made without the store."""
    bridge = models.load(experiment.model).bridge
    pair = prompts.prepare(bridge, experiment)
    with torch.no_grad():
        clean_logits, clean = bridge.run_with_cache(pair.clean)
        corrupted_logits, corrupted = bridge.run_with_cache(pair.corrupted)
    return bridge, pair, (clean_logits, clean), (corrupted_logits, corrupted)


def test_overview_is_what_both_runs_predict(experiment, store):
    result = compute(OverviewRequest(experiment), store)
    bridge, pair, (clean, _), (corrupted, _) = fresh_runs(experiment)
    assert (result.clean_tokens, result.corrupted_tokens) == (pair.clean_tokens, pair.corrupted_tokens)
    assert (
        result.differences
        == (3 + len(pair.clean_tokens) - 6 - 1, 4 + len(pair.clean_tokens) - 6)[-len(result.differences) :]
    )
    assert (result.n_layers, result.n_heads) == (bridge.cfg.n_layers, bridge.cfg.n_heads)
    for top, logits in ((result.clean_top, clean[0, -1]), (result.corrupted_top, corrupted[0, -1])):
        best = logits.argsort(descending=True)[: len(top)]
        assert [token for token, _, _ in top] == list(bridge.to_str_tokens(best))
        np.testing.assert_allclose([logit for _, logit, _ in top], logits[best], rtol=1e-6)
        np.testing.assert_allclose([p for _, _, p in top], logits.softmax(-1)[best], rtol=1e-5)
    assert set(result.metrics) == set(METRIC_NAMES)
    for name, (on_clean, on_corrupted) in result.metrics.items():
        metric = named_metric(name, pair, clean)
        assert on_clean == pytest.approx(float(metric(clean)), abs=1e-6)
        assert on_corrupted == pytest.approx(float(metric(corrupted)), abs=1e-6)


@pytest.mark.parametrize("run", ["clean", "corrupted"])
@pytest.mark.parametrize("unit", ["component", "layer", "head"])
def test_attribution_is_that_of_a_fresh_run_and_adds_up(experiment, store, unit, run):
    result = compute(AttributionRequest(experiment, unit, run), store)
    bridge, pair, *_ = fresh_runs(experiment)
    fresh = direct_logit_attribution(bridge, getattr(pair, run), pair.answer, pair.foil, unit=unit, pos=None)
    assert result.labels == tuple(fresh.labels)
    assert result.tokens == getattr(pair, f"{run}_tokens")
    np.testing.assert_allclose(result.attribution, fresh.attribution[:, 0], atol=1e-5)
    assert np.abs(result.gap).max() < 2e-5
    assert np.abs(result.logit_difference).max() > 0.1


def test_attribution_that_does_not_add_up_is_refused(plain, store):
    result = compute(AttributionRequest(plain, "head"), store)
    logits = torch.full((1, len(result.tokens), 320), 5.0)
    require_whole(result, logits)
    missing = replace(result, attribution=result.attribution[1:] * 2)
    with pytest.raises(PathscopeError, match="miss this model's own logit difference by up to"):
        require_whole(missing, logits)


@pytest.mark.parametrize(("component", "layer_norm"), [("q", "frozen"), ("k", "frozen"), ("v", "exact")])
def test_paths_are_those_of_the_public_functions(experiment, store, component, layer_norm):
    bridge, pair, (clean, clean_cache), (corrupted, corrupted_cache) = fresh_runs(experiment)
    metric = named_metric("logit_difference", pair, clean)
    arguments = bridge, pair.corrupted, clean_cache, corrupted_cache, metric
    modes = {"component": component, "verbose": False, "layer_norm": layer_norm}
    every = compute(AllSourcesRequest(experiment, component, layer_norm), store)
    n_layers, n_heads = bridge.cfg.n_layers, bridge.cfg.n_heads
    causal = causal_edges(n_layers, n_heads)
    expected = get_act_patch_direct_path_all_sources(*arguments, **modes).numpy()
    np.testing.assert_array_equal(every.measured, causal)
    np.testing.assert_allclose(every.values[causal], expected[causal], atol=2e-5)
    assert every.complete
    assert every.corrupted_metric == pytest.approx(float(metric(corrupted)), abs=2e-5)
    assert every.clean_metric == pytest.approx(float(metric(clean)), abs=2e-5)
    one = compute(PathRequest(experiment, 0, 1, component, layer_norm), store)
    np.testing.assert_allclose(one.values, every.values[0, 1], atol=2e-5)
    single = get_act_patch_direct_path(*arguments, 0, 1, **modes).numpy()
    np.testing.assert_allclose(one.values[1:], single[1:], atol=2e-5)
    assert np.isnan(one.values[0]).all()
    assert np.nanmax(np.abs(one.effect)) > 1e-4


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_every_metric_is_at_its_own_baseline_where_prompts_are_equal(plain, store, metric):
    same = replace(plain, corrupted=plain.clean)
    result = compute(AllSourcesRequest(same, metric=metric), store)
    assert result.clean_metric == result.corrupted_metric
    assert not np.nan_to_num(result.effect).any()
    assert np.isnan(result.recovery(result.effect)).all()


def test_a_last_layer_source_has_no_cell(plain, store):
    assert np.isnan(compute(PathRequest(plain, 2, 0), store).values).all()


def test_a_result_says_where_it_came_from(plain, store):
    forward = compute(OverviewRequest(plain), store).provenance
    swept = compute(PathRequest(plain, 0, 0), store).provenance
    assert (forward.engine, forward.replay_gap) == ("forward", None)
    assert swept.engine == "replay" and 0 <= swept.replay_gap < 1e-4
    for provenance in (forward, swept):
        assert provenance.model == plain.model
        assert provenance.fingerprint == models.fingerprint(plain.model)
        assert provenance.versions == versions()
        assert (provenance.device, provenance.dtype) == ("cpu", "float32")
        assert provenance.seconds > 0


def counted_forwards(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Grows by one with every forward pass that an experiment's runs take."""
    forwards: list[tuple] = []
    forward = activations._forward

    def count(*arguments):
        forwards.append(arguments)
        return forward(*arguments)

    monkeypatch.setattr(activations, "_forward", count)
    return forwards


def test_both_runs_are_computed_once_for_all_analyses(monkeypatch, plain, store):
    forwards = counted_forwards(monkeypatch)
    for request in (
        OverviewRequest(plain),
        AttributionRequest(plain, "head"),
        AttributionRequest(plain, "layer", "corrupted"),
        PathRequest(plain, 0, 0),
        AllSourcesRequest(replace(plain, answer=" j"), "v"),
    ):
        compute(request, store)
    assert len(forwards) == 2
    compute(OverviewRequest(replace(plain, corrupted=" a b y d y f")), store)
    assert len(forwards) == 3


def test_sixteen_first_requests_run_each_prompt_once(monkeypatch, plain, store):
    forwards = counted_forwards(monkeypatch)
    requests = [OverviewRequest(plain), AttributionRequest(plain)] * 8
    with ThreadPoolExecutor(16) as visitors:
        list(visitors.map(lambda request: compute(request, store), requests))
    assert len(forwards) == 2


def test_sessions_that_run_one_model_at_once_do_not_mix_their_runs(plain, tmp_path):
    """Hooks live on the model, so two unguarded runs would cache each other's activations."""
    letters = "acegikmoqsuw"
    requests = [
        AttributionRequest(replace(plain, clean=f" {x} b c d e f", corrupted=f" b {x} x d y f"), "head")
        for x in letters
    ] + [
        PathRequest(replace(plain, clean=f" {x} b c d e f", corrupted=f" b {x} x d y f"), 0, 0)
        for x in letters
    ]
    alone = [compute(request, Store.open(tmp_path / "alone")).parts()[0] for request in requests]
    crowd = Store.open(tmp_path / "crowd")
    with ThreadPoolExecutor(8) as visitors:
        together = [r.parts()[0] for r in visitors.map(lambda request: compute(request, crowd), requests)]
    for one, another in zip(alone, together, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], another[name])


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"clean": ""}, PromptError, "The clean prompt is empty"),
        ({"corrupted": " a b"}, PromptError, "they need the same number"),
        ({"answer": " gg"}, AnswerError, "must be one"),
        ({"foil": " g"}, AnswerError, "are both"),
    ],
)
def test_what_is_wrong_with_an_experiment_is_said(plain, store, change, error, words):
    with pytest.raises(error, match=words):
        compute(OverviewRequest(replace(plain, **change)), store)


@pytest.mark.parametrize("source", [(3, 0), (0, 4), (-1, 0)])
def test_a_source_that_does_not_exist_is_named(plain, store, source):
    with pytest.raises(PathscopeError, match=f"L?{source[0]}"):
        compute(PathRequest(plain, *source), store)
