"""Frozen mode on families whose norm cannot be folded says so wherever its numbers come out."""

from __future__ import annotations

import warnings

import pytest
import torch

from analysis import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
from analysis.answers.compute import compute
from analysis.requests import LAYER_NORM_MODES
from analysis.results import PathRequest, PathResult
from analysis.store.store import Store
from analysis.sweep import Sweep
from tests.experiments import on
from tests.runs import Runs, last_logit_difference
from tests.sweep.judging import verdict
from tests.sweep.tampering import Tampering, folder_of, tampered

#: GLM joins two projections of its MLP, Nemotron's norms keep their weight as an offset from one.
UNFOLDABLE = ("glm", "nemotron")


@pytest.fixture(scope="module", params=UNFOLDABLE)
def runs(request: pytest.FixtureRequest):
    with tampered(Tampering("nothing", request.param, lambda runs, stack: None)) as runs:
        yield runs


def the_one_warning(runs: Runs, layer_norm: str, ask) -> str:
    with pytest.warns(UserWarning, match=r"(?i)norm.*not.*folded") as caught:
        ask(*runs.arguments, last_logit_difference, layer_norm=layer_norm)
    assert len(caught) == 1
    return str(caught[0].message)


def test_the_norms_of_these_models_are_not_neutral(runs: Runs):
    norm = runs.model.blocks[0].ln1.original_component
    assert norm.weight.std() > 0.05


def test_the_sweep_and_both_functions_warn_in_the_same_words(runs: Runs):
    def sweep(*arguments, **options) -> Sweep:
        return Sweep(*arguments, **options)

    def one_source(model, tokens, clean, corrupted, metric, layer_norm) -> torch.Tensor:
        return get_act_patch_direct_path(
            model, tokens, clean, corrupted, metric, 0, 1, verbose=False, layer_norm=layer_norm
        )

    def all_sources(model, tokens, clean, corrupted, metric, layer_norm) -> torch.Tensor:
        return get_act_patch_direct_path_all_sources(
            model, tokens, clean, corrupted, metric, verbose=False, layer_norm=layer_norm
        )

    said = {the_one_warning(runs, "frozen", ask) for ask in (sweep, one_source, all_sources)}
    assert len(said) == 1


def test_the_warning_asks_for_nothing_that_was_already_done(runs: Runs):
    """The model is in compatibility mode, which is all that a person can do."""
    said = the_one_warning(runs, "frozen", Sweep)
    assert "enable_compatibility_mode" not in said
    assert "exact" in said


def test_the_sweep_keeps_the_sentence_for_whoever_shows_its_numbers(runs: Runs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sweep = Sweep(*runs.arguments, last_logit_difference, layer_norm="frozen")
    [note] = sweep.notes
    assert note == the_one_warning(runs, "frozen", Sweep)


def test_exact_mode_has_nothing_to_say(runs: Runs):
    assert Sweep(*runs.arguments, last_logit_difference, layer_norm="exact").notes == ()


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", ["q", "v"])
def test_the_numbers_themselves_are_those_of_the_definition(runs: Runs, component, layer_norm):
    assert verdict("all sources", runs, component, layer_norm).outcome == "right"


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("family", UNFOLDABLE)
def test_the_result_carries_the_sentence(family: str, layer_norm, tmp_path):
    request = PathRequest(on(folder_of(family)), 0, 1, layer_norm=layer_norm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = compute(request, Store.open(tmp_path))
    assert isinstance(result, PathResult)
    told = [note for note in result.provenance.notes if "fold" in note]
    assert len(told) == (layer_norm == "frozen")
