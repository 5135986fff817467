"""Nothing is computed twice, and what is stored is found."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis import answers
from analysis.errors import ModelError, PromptError
from analysis.nodes import causal_edges
from analysis.requests import Experiment
from analysis.results import AllSourcesRequest, AllSourcesResult, OverviewRequest, PathRequest
from analysis.store import memo
from tests.computing import Computing, overview, provenance
from tests.experiments import on

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def experiment(folder) -> Experiment:
    return on(folder)


def test_what_is_computed_is_stored_and_then_found(monkeypatch, experiment):
    computing = Computing(monkeypatch)
    request = OverviewRequest(experiment)
    assert answers.stored(request) is None
    first = answers.answer(request)
    assert (first.from_store, first.note) == (False, None)
    for again in (answers.answer(request), answers.stored(request)):
        assert again is not None and again.from_store
        assert again.result.parts()[1] == first.result.parts()[1]
    assert computing.requests == [request]


def test_a_model_that_is_not_here_has_nothing_stored(experiment):
    assert answers.stored(OverviewRequest(replace(experiment, model="nobody/no-such-model"))) is None
    with pytest.raises(ModelError, match="no-such-model"):
        answers.answer(OverviewRequest(replace(experiment, model="nobody/no-such-model")))


def test_sixteen_simultaneous_requests_are_one_computation(monkeypatch, experiment):
    computing = Computing(monkeypatch)
    with ThreadPoolExecutor(16) as visitors:
        found = list(visitors.map(answers.answer, [OverviewRequest(experiment)] * 16))
    assert len(computing.requests) == 1
    assert {answer.result.clean_top for answer in found} == {((" g", 1.0, 0.5),)}


def test_they_are_one_computation_also_where_nothing_can_be_stored(monkeypatch, experiment):
    monkeypatch.setattr("analysis.store.store.Store.put", lambda *_: "Shown but not stored: no room.")
    looked = threading.Semaphore(0)
    recall = memo.recall
    requests = []

    def look(*arguments):
        looked.release()
        return recall(*arguments)

    def compute(request, store):
        requests.append(request)
        for _ in range(17):  # all sixteen have found nothing, and one of them has looked again
            assert looked.acquire(timeout=30)
        threading.Event().wait(0.2)
        return overview(request)

    monkeypatch.setattr(memo, "recall", look)
    monkeypatch.setattr("analysis.answers.compute.compute", compute)
    with ThreadPoolExecutor(16) as visitors:
        found = list(visitors.map(answers.answer, [OverviewRequest(experiment)] * 16))
    assert len(requests) == 1
    assert {answer.note for answer in found} == {"Shown but not stored: no room."}
    assert answers.stored(OverviewRequest(experiment)) is None


def test_different_requests_do_not_wait_for_each_other(monkeypatch, experiment):
    both = threading.Barrier(2, timeout=20)

    def compute(request, store):
        both.wait()
        return overview(request)

    monkeypatch.setattr("analysis.answers.compute.compute", compute)
    requests = [OverviewRequest(experiment), OverviewRequest(replace(experiment, answer=" z"))]
    with ThreadPoolExecutor(2) as visitors:
        assert [a.result.request for a in visitors.map(answers.answer, requests)] == requests


def test_a_failure_reaches_everyone_and_is_not_remembered(monkeypatch, experiment):
    computing = Computing(monkeypatch, PromptError("The clean prompt is empty."))

    def ask(request: OverviewRequest) -> object:
        try:
            return answers.answer(request)
        except PromptError as error:
            return str(error)

    with ThreadPoolExecutor(4) as visitors:
        told = list(visitors.map(ask, [OverviewRequest(experiment)] * 4))
    assert "The clean prompt is empty." in told
    assert answers.answer(OverviewRequest(experiment)).result.n_layers == 3
    assert len(computing.requests) == 2


_COMPUTE_WITHOUT_TORCH = """
import sys, time, types
from pathlib import Path
from analysis import answers
from analysis.results import OverviewRequest
from analysis.store import open_store
from tests.experiments import on
from tests.computing import overview

folder, ready, other = sys.argv[1:]

def compute(request, store):
    print("computed", flush=True)
    time.sleep(0.5)
    return overview(request)

module = types.ModuleType("analysis.answers.compute")
module.compute = compute
sys.modules["analysis.answers.compute"] = module
request = OverviewRequest(on(folder))
answers.result_key(request, open_store())
Path(ready).touch()
while not Path(other).exists():
    time.sleep(0.005)
print(answers.answer(request).result.n_heads)
"""


def test_two_processes_are_one_computation(folder, tmp_path):
    ready = [str(tmp_path / "one"), str(tmp_path / "two")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _COMPUTE_WITHOUT_TORCH, str(folder), mine, other],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for mine, other in (ready, ready[::-1])
    ]
    told = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [words[-1] for words in told] == ["4", "4"]
    assert sum(words.count("computed") for words in told) == 1


def sweep(request: AllSourcesRequest) -> AllSourcesResult:
    values = np.arange(144.0).reshape(3, 4, 3, 4)
    values[~causal_edges(3, 4)] = np.nan
    ends = {
        "corrupted_metric": 0.5,
        "clean_metric": 2.0,
        "clean_tokens": (" a",),
        "corrupted_tokens": (" b",),
    }
    return AllSourcesResult(request, provenance(), values=values, estimate=values * np.nan, **ends)


def test_a_single_source_is_read_from_a_stored_sweep(monkeypatch, experiment):
    computing = Computing(monkeypatch)
    whole = sweep(AllSourcesRequest(experiment, component="k", metric="kl_from_clean"))
    assert answers.remember(whole) is None
    row = answers.stored(PathRequest(experiment, 1, 2, component="k", metric="kl_from_clean"))
    assert row is not None and row.from_store
    np.testing.assert_array_equal(row.result.values, whole.values[1, 2])
    assert row.result.request == PathRequest(experiment, 1, 2, component="k", metric="kl_from_clean")
    assert computing.requests == []


@pytest.mark.parametrize("other", [{"component": "v"}, {"layer_norm": "exact"}, {"metric": "kl_from_clean"}])
def test_but_from_no_other_sweep(experiment, other):
    answers.remember(sweep(AllSourcesRequest(experiment)))
    assert answers.stored(PathRequest(experiment, 1, 2)) is not None
    assert answers.stored(PathRequest(experiment, 1, 2, **other)) is None


@pytest.mark.parametrize("source", [(3, 0), (0, 4), (-1, 0), (0, -1)])
def test_and_not_for_a_head_that_does_not_exist(experiment, source):
    answers.remember(sweep(AllSourcesRequest(experiment)))
    assert answers.stored(PathRequest(experiment, *source)) is None
