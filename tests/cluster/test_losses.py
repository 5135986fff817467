"""What is lost with a worker or a scheduler: pieces that were being measured, and nothing that was stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from analysis.cluster import connected
from analysis.errors import PathscopeError
from analysis.jobs import resume
from analysis.jobs.job import Step
from analysis.results import AllSourcesRequest, AllSourcesResult
from analysis.store import open_store
from tests.cluster.serving import Served, served
from tests.jobs.watching import until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("logs")) as running:
        running.scheduler()
        running.worker("first")
        running.worker("second")
        # A worker that comes late finds nothing left to be lost.
        until(lambda: at_work(running).keys() == {"first", "second"})
        yield running


def steps(request: AllSourcesRequest) -> Iterator[Step[AllSourcesResult]]:
    return resume.steps(request, lambda: False)


def at_work(cluster: Served) -> dict[str, int]:
    """Worker -> how many tasks it has been given and has not brought back."""
    client = connected(cluster.address)._client
    given = client.processing()
    known = client.scheduler_info(n_workers=-1)["workers"]
    return {said["id"]: len(given.get(address, ())) for address, said in known.items()}


def holder(cluster: Served) -> str:
    """The worker that holds most: it is given what is left, the other only what it can take from it."""
    client = connected(cluster.address)._client
    held = client.has_what()
    known = client.scheduler_info(n_workers=-1)["workers"]
    name: str = known[max(known, key=lambda address: len(held[address]))]["id"]
    return name


def test_what_a_lost_worker_was_given_is_done_by_another(monkeypatch, experiment, cluster, tmp_path):
    request = AllSourcesRequest(experiment, "k")
    *_, whole = steps(request)
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "of the cluster"))
    monkeypatch.setenv("PATHSCOPE_CLUSTER", cluster.address)

    going_on = steps(request)
    begun, first = next(going_on), next(going_on)
    lost = holder(cluster)
    cluster.halt(lost)
    counts = [begun.result.n_done, first.result.n_done]
    ended = threading.Event()

    def finish() -> None:
        counts.extend(step.result.n_done for step in going_on)
        ended.set()

    threading.Thread(target=finish).start()
    # What it is given waits for it, until it is gone for good.
    until(lambda: at_work(cluster)[lost] > 0)
    assert not ended.is_set()
    before = len(counts)
    cluster.kill(lost)
    assert ended.wait(60)
    assert counts == sorted(counts) and counts[-1] == begun.result.n_total and len(counts) > before
    assert stored_values() == whole.result.values.tobytes()


def stored_values() -> bytes:
    (key,) = open_store().keys("result/")
    entry = open_store().get(key)
    assert entry is not None
    return entry.arrays["values"].tobytes()


def test_a_lost_scheduler_is_told_and_what_was_stored_is_not_measured_again(
    monkeypatch, experiment, cluster, tmp_path
):
    request = AllSourcesRequest(experiment, "v")
    *_, whole = steps(request)
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "of the cluster"))
    monkeypatch.setenv("PATHSCOPE_CLUSTER", cluster.address)
    going_on = steps(request)
    for _ in range(4):
        next(going_on)
    cluster.kill("scheduler")
    with pytest.raises(
        PathscopeError, match=f"The scheduler at {cluster.address} was lost. What it was work"
    ):
        for _ in going_on:
            pass
    kept = len(open_store().keys("piece/"))
    assert kept >= 3

    for name in [*cluster.processes]:
        cluster.kill(name)
    cluster.scheduler()
    cluster.worker("third")
    resumed, *_, last = steps(request)
    assert resumed.note is not None and resumed.note.startswith(f"{kept} of ")
    assert last.whole and last.result.complete
    assert stored_values() == whole.result.values.tobytes()
