"""Who may take part: each worker is asked what it is, who does not fit is told, nobody waits in vain."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.cluster import Crew, Task, Wanted, connected, crew, done_by, sealed
from analysis.errors import Cancelled, PathscopeError
from tests.cluster import deeds
from tests.cluster.serving import Served, served
from tests.jobs.watching import until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("logs")) as running:
        running.scheduler()
        yield running


@pytest.fixture
def workers(monkeypatch, cluster):
    """Start a worker that says a word of itself; it ends with the test."""
    begun = []

    def begin(name: str, word: str, *options: str) -> None:
        monkeypatch.setenv("A_WORD", word)
        cluster.worker(name, *options)
        begun.append(name)

    yield begin
    for name in begun:
        if name in cluster.processes:
            cluster.kill(name)
    until(lambda: not connected(cluster.address).workers())


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    """Three tasks of which each is noted in a file, and none ends before there is a gate."""
    places = {"tally": str(tmp_path / "tally"), "gate": str(tmp_path / "gate")}
    return [
        Task(f"pathscope-{tmp_path.name}-{number}", (sealed({"number": number, **places}),))
        for number in range(3)
    ]


def wanted(word: str, **resources: float) -> Wanted:
    return Wanted(deeds.a_word, b"", {"word": word}, resources)


def never() -> bool:
    return False


def test_a_worker_that_is_another_is_refused_and_those_that_fit_do_all(cluster, workers, tasks, tmp_path):
    workers("right", "yes")
    workers("wrong", "no")
    (tmp_path / "gate").touch()
    there = Crew(connected(cluster.address), wanted("yes"))
    brought = [
        (words["number"], words["word"]) for _, words, _ in done_by(there, deeds.tallied, tasks, never)
    ]
    assert sorted(brought) == [(0, "yes"), (1, "yes"), (2, "yes")]
    until(lambda: at_once(there) == 1 and there.told() is not None)
    assert (
        there.told()
        == f"The worker at {address_of(cluster, 'wrong')} is refused: word no, where yes is wanted."
    )
    assert [*there.fit] == [address_of(cluster, "right")] and there.at_once() == 1


def at_once(there: Crew) -> int:
    there.look()
    return there.at_once()


def address_of(cluster: Served, name: str) -> str:
    known = connected(cluster.address)._client.scheduler_info(n_workers=-1)["workers"]
    (address,) = (address for address, said in known.items() if said["id"] == name)
    return str(address)


def test_where_all_are_others_it_is_told_at_once(cluster, workers, tasks):
    workers("wrong", "no")
    until(lambda: connected(cluster.address).workers() != {})
    there = Crew(connected(cluster.address), wanted("yes"))
    with pytest.raises(
        PathscopeError, match=r"No worker of the cluster .* fits\. .* is refused: word no, where yes"
    ):
        [*done_by(there, deeds.tallied, tasks, never)]


def test_a_cluster_without_workers_is_not_waited_for(cluster, tasks, monkeypatch):
    monkeypatch.setattr(crew, "_PATIENCE", 0.2)
    there = Crew(connected(cluster.address), wanted("yes"))
    with pytest.raises(
        PathscopeError, match=r"has no worker, and none came within 0\.2 s\. Start one with `dask work"
    ):
        [*done_by(there, deeds.tallied, tasks, never)]


def test_resources_bound_how_many_tasks_a_worker_does_at_once(cluster, workers, tasks):
    workers("rich", "yes", "--resources", "GPU=2")
    until(lambda: connected(cluster.address).workers() != {})
    there = Crew(connected(cluster.address), wanted("yes", GPU=3))
    with pytest.raises(PathscopeError, match=r"lacks the resource GPU=3 .*: it was started with GPU=2\."):
        [*done_by(there, deeds.tallied, tasks, never)]
    there = Crew(connected(cluster.address), wanted("yes", GPU=2))
    until(lambda: at_once(there) == 1)


def test_the_only_worker_may_be_replaced_in_the_middle(cluster, workers, tasks, tmp_path):
    workers("old", "yes")
    brought: list[int] = []
    there = Crew(connected(cluster.address), wanted("yes"))

    def ask() -> None:
        brought.extend(words["number"] for _, words, _ in done_by(there, deeds.tallied, tasks, never))

    asking = threading.Thread(target=ask)
    asking.start()
    until((tmp_path / "tally").exists)
    cluster.kill("old")
    workers("new", "yes")
    until(lambda: (tmp_path / "tally").read_text().count("0\n") == 2)
    (tmp_path / "gate").touch()
    asking.join(60)
    assert sorted(brought) == [0, 1, 2]


def test_what_is_stopped_is_taken_back(cluster, workers, tasks, tmp_path):
    workers("right", "yes")
    stop = threading.Event()
    there = Crew(connected(cluster.address), wanted("yes"))
    done = done_by(there, deeds.tallied, tasks, stop.is_set)

    def stop_when_begun() -> None:
        until((tmp_path / "tally").exists)
        stop.set()

    threading.Thread(target=stop_when_begun).start()
    with pytest.raises(Cancelled, match="what had come back from the cluster is kept"):
        next(done)
    # The one that is being done notices it, and none of the others begins.
    until(lambda: (tmp_path / "tally").read_text() != "0\n")
    assert (tmp_path / "tally").read_text() == "0\nstopped\n"
    # Who asks for the same later has it done afresh.
    (tmp_path / "gate").touch()
    assert len([*done_by(there, deeds.tallied, tasks, never)]) == 3


def test_what_a_worker_cannot_do_is_told(cluster, workers, tmp_path):
    workers("right", "yes")
    there = Crew(connected(cluster.address), wanted("yes"))
    with pytest.raises(PathscopeError, match=r"A worker failed: KeyError, 'number'\."):
        [
            *done_by(
                there,
                deeds.tallied,
                [Task("pathscope-wrong", (sealed({"tally": str(tmp_path / "t")}),))],
                never,
            )
        ]
