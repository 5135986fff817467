"""Workers that would bring other numbers, or cannot be reached, are refused in a sentence."""

from __future__ import annotations

import threading

import pytest

from analysis.answers import answer
from analysis.cluster import connected, connection
from analysis.errors import PathscopeError
from analysis.jobs import submit
from analysis.results import AllSourcesRequest, DraftRequest, OverviewRequest
from tests.cluster import deeds
from tests.jobs.watching import ended


@pytest.mark.parametrize(
    ("where", "wanted", "told"),
    [
        ("versions", lambda: {"torch": "1.0"}, "torch .*, where 1.0 is wanted"),
        ("versions", lambda: {"pathscope": "9.9"}, "pathscope .*, where 9.9 is wanted"),
        (
            "model_content",
            lambda _: {"fingerprint": 64 * "0"},
            "weights .*, where 0000000000000000 is wanted",
        ),
    ],
)
def test_workers_that_would_bring_other_numbers_are_refused(
    monkeypatch, experiment, on_cluster, where, wanted, told
):
    on_cluster()
    monkeypatch.setattr(f"analysis.answers.on_cluster.{where}", wanted)
    job = ended(submit(AllSourcesRequest(experiment)))
    assert job.state == "failed" and job.error is not None
    with pytest.raises(PathscopeError, match=f"is refused: .*{told}"):
        answer(OverviewRequest(experiment))
    assert "No worker of the cluster at tcp://127.0.0.1:" in job.error and job.error.count("is refused") == 2
    assert "unset PATHSCOPE_CLUSTER to compute here" in job.error


def test_a_worker_whose_files_have_changed_says_so(monkeypatch, experiment, on_cluster):
    on_cluster()
    answer(OverviewRequest(experiment))
    # What it said of itself is remembered; each letter names the weights once more.
    from analysis.answers import on_cluster as office

    found = office.model_content("demo")["fingerprint"]
    monkeypatch.setattr(office, "model_content", lambda _: {"fingerprint": found[:16] + 48 * "0"})
    with pytest.raises(PathscopeError, match="The files of 'demo' on a worker of the cluster are others"):
        answer(DraftRequest(experiment))


def test_a_resource_that_no_worker_has_is_told_and_not_waited_for(monkeypatch, experiment, on_cluster):
    on_cluster()
    monkeypatch.setenv("PATHSCOPE_CLUSTER_RESOURCES", "GPU=1,lab=1")
    job = ended(submit(AllSourcesRequest(experiment)))
    assert job.state == "failed" and job.error is not None
    assert "lacks the resource GPU=1 (PATHSCOPE_CLUSTER_RESOURCES): it was started with lab=2." in job.error
    monkeypatch.setenv("PATHSCOPE_CLUSTER_RESOURCES", "lab=2")
    assert answer(OverviewRequest(experiment))


def test_what_would_have_to_be_unpickled_is_not_taken(cluster):
    future = connected(cluster.scheduler_address).submit(deeds.no_plain_data, b"", key="no plain data")
    with pytest.raises(TypeError, match="only able to deserialize data with"):
        future.result(timeout=30)
    future.cancel()


def test_where_no_scheduler_answers_it_is_said(monkeypatch, experiment):
    monkeypatch.setattr(connection, "_PATIENCE", 0.3)
    monkeypatch.setenv("PATHSCOPE_CLUSTER", "tcp://127.0.0.1:9")
    with pytest.raises(
        PathscopeError, match=r"No scheduler answers at tcp://127.0.0.1:9 \(PATHSCOPE_CLUSTER\)"
    ):
        answer(OverviewRequest(experiment))


def test_a_try_that_fails_leaves_no_thread(monkeypatch):
    monkeypatch.setattr(connection, "_PATIENCE", 0.1)

    def threads_after_a_try() -> set[threading.Thread]:
        with pytest.raises(PathscopeError, match="No scheduler answers"):
            connected("tcp://127.0.0.1:9")
        return {each for each in threading.enumerate() if each.name == "IO loop"}

    before = threads_after_a_try()
    assert threads_after_a_try() <= before  # one of another client may end meanwhile
