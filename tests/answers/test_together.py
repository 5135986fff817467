"""Several pairs computed together are stored each by itself, with the numbers that each has alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.answers import answer, answer_together, compute, stored
from analysis.errors import UnsupportedModelError
from analysis.requests import Experiment
from analysis.results import OverviewRequest, PathEstimatesRequest, PromptSetRequest, StrongestPathsRequest
from analysis.sets import READY_KINDS
from analysis.store import Store

FIRST = READY_KINDS["drinks"].first.on("demo")
pytestmark = pytest.mark.usefixtures("own_store")


def experiments(size: int = 4) -> list[Experiment]:
    return list(answer(PromptSetRequest(FIRST, None, size)).result.prompt_set.experiments("demo"))


@pytest.mark.parametrize("metric", ["logit_difference", "kl_from_clean"])
def test_each_is_stored_with_the_numbers_that_it_has_alone(metric, tmp_path):
    requests = [PathEstimatesRequest(one, "exact", metric) for one in experiments()]
    answer_together(requests)
    store = Store.open(tmp_path / "alone")
    for request in requests:
        found, alone = answer(request), compute.compute(request, store)
        assert found.from_store and found.result.request == request
        off = np.nanmax(np.abs(found.result.estimate - alone.estimate))
        assert off <= alone.provenance.resolution
        assert found.result.provenance.resolution == pytest.approx(alone.provenance.resolution)
        assert (found.result.clean_metric, found.result.corrupted_metric) == pytest.approx(
            (alone.clean_metric, alone.corrupted_metric)
        )


@pytest.mark.parametrize("layer_norm", ["frozen", "exact"])
def test_the_strongest_paths_are_those_of_each_pair(layer_norm, tmp_path):
    asked = [StrongestPathsRequest(one, layer_norm) for one in experiments()]
    answer_together(asked)
    store, leading = Store.open(tmp_path / "alone"), set()
    for request in asked:
        found, alone = answer(request), compute.compute(request, store)
        assert found.from_store and found.result.labels[:20] == alone.labels[:20]
        within = alone.provenance.resolution
        np.testing.assert_allclose(found.result.effect[:20], alone.effect[:20], rtol=0, atol=within)
        leading.add(found.result.labels[:20])
    assert len(leading) == len(asked), "no two pairs have the same paths in the same order"


def test_nothing_is_computed_twice_and_one_pair_is_left_to_itself(monkeypatch):
    asked = [StrongestPathsRequest(one) for one in experiments()]
    answer_together(asked[:3])

    def refuse(*_):
        raise AssertionError("it was stored, or is one")

    monkeypatch.setattr("analysis.answers.compute.compute_together", refuse)
    answer_together(asked[:3])
    answer_together(asked)
    assert [stored(request) is None for request in asked] == [False] * 3 + [True]


def test_pairs_of_other_lengths_and_broken_ones_do_not_keep_the_others():
    days = READY_KINDS["days"].first.on("demo")
    other = replace(days, clean="The day after Sunday is", answer=" Monday")
    broken = replace(FIRST, corrupted=f"{FIRST.corrupted} and")
    asked = [StrongestPathsRequest(one) for one in (*experiments(2), broken, days, other)]
    answer_together(asked)
    assert [stored(request) is None for request in asked] == [False, False, True, False, False]


def test_no_more_run_together_than_memory_allows(monkeypatch):
    asked = [StrongestPathsRequest(one) for one in experiments()]
    sizes = []
    genuine = __import__("analysis.patching.of_prompts", fromlist=["x"]).strongest_paths_results

    def counting(requests, origins):
        sizes.append(len(requests))
        return genuine(requests, origins)

    monkeypatch.setattr("analysis.patching.strongest_paths_results", counting)
    monkeypatch.setattr("analysis.answers.compute.pairs_at_once", lambda cfg, n_tokens: 2)
    answer_together(asked)
    assert sizes == [2, 2] and all(stored(request) is not None for request in asked)


def test_memory_decides_by_what_a_pair_takes(monkeypatch):
    from analysis.experiment import pairs_at_once
    from analysis.experiment.budget import prompt_bytes
    from analysis.models import load

    cfg = load("demo").bridge.cfg
    monkeypatch.setenv("PATHSCOPE_SWEEP_BYTES", str(3 * prompt_bytes(cfg, 15)))
    assert pairs_at_once(cfg, 15) == 3
    monkeypatch.setenv("PATHSCOPE_SWEEP_BYTES", "1024")
    assert pairs_at_once(cfg, 15) == 1


def test_what_cannot_be_computed_together_is_left_to_be_asked_for_alone(monkeypatch):
    def refuse(*_):
        raise UnsupportedModelError("There is no estimate here.")

    monkeypatch.setattr("analysis.edges.exchange.Exchange.required_replay", refuse)
    asked = [StrongestPathsRequest(one) for one in experiments(2)]
    answer_together(asked)
    assert [stored(request) for request in asked] == [None, None]
    with pytest.raises(UnsupportedModelError):
        answer(asked[0])


def test_a_kind_that_is_computed_one_by_one_is_left_alone():
    asked = [OverviewRequest(one) for one in experiments(2)]
    answer_together(asked)
    answer_together([])
    assert [stored(request) for request in asked] == [None, None]
