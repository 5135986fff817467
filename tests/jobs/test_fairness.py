"""Where strangers are served: places go round, nobody fills the line or stops what another watches."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from analysis.answers import visits
from analysis.errors import PathscopeError
from analysis.jobs import board as jobs
from analysis.jobs.job import PRESENT_SECONDS, Job
from analysis.jobs.line import Line
from analysis.policy import OWN_MACHINE
from analysis.results import AllSourcesRequest
from tests.experiments import on
from tests.jobs.watching import ended, others, until

A, B, C = "a", "b", "c"


@pytest.fixture(autouse=True)
def _strangers(monkeypatch):
    monkeypatch.setenv("PATHSCOPE_HOSTED", "1")


@pytest.fixture
def request_() -> AllSourcesRequest:
    return AllSourcesRequest(on("demo"))


def refused(request, visitor) -> str:
    with pytest.raises(PathscopeError) as refusal:
        jobs.submit(request, visitor)
    return str(refusal.value)


def test_places_go_round_between_visitors(held, request_):
    first, *rest = (request_, *others(request_, 5))
    jobs.submit(first, A)
    until(lambda: held.begun == [first])
    submitted = [
        jobs.submit(request, visitor) for request, visitor in zip(rest, [A, A, B, B, C], strict=True)
    ]
    assert [job.snapshot().queue_position for job in submitted] == [2, 4, 0, 3, 1]
    held.release.set()
    until(lambda: len(held.begun) == 6)
    assert held.begun[1:] == [rest[2], rest[4], rest[0], rest[3], rest[1]]


def test_a_visitor_has_one_running_and_two_waiting(held, request_):
    asked = [request_, *others(request_, 4)]
    jobs.submit(asked[0], A)
    until(lambda: len(held.begun) == 1)
    waiting, _ = jobs.submit(asked[1], A), jobs.submit(asked[2], A)
    told = refused(asked[3], A)
    assert told.startswith("You have 3 jobs running or waiting, and at most 1 may run and 2 may wait for one")
    assert told.endswith(OWN_MACHINE)
    assert jobs.submit(asked[3], B).state == "queued"
    waiting.leave(A)
    assert jobs.submit(asked[4], A).state == "queued"


def test_a_visitor_has_one_running_however_many_workers_there_are(monkeypatch, held, request_):
    monkeypatch.setenv("PATHSCOPE_WORKERS", "3")
    asked = [request_, *others(request_, 2)]
    for request, visitor in zip(asked, [A, A, B], strict=True):
        jobs.submit(request, visitor)
    until(lambda: len(held.begun) == 2)
    time.sleep(0.05)
    assert set(held.begun) == {asked[0], asked[2]}
    held.release.set()
    until(lambda: len(held.begun) == 3)


def test_only_who_alone_watches_may_stop_a_job(held, request_):
    job = jobs.submit(request_, A)
    assert jobs.submit(request_, B) is job and job.others(A) == job.others(B) == 1
    job.leave(A)
    job.leave(B)
    assert not job.finished
    job.leave(C)
    assert not job.finished, "a visitor who has never looked"
    job._watchers[A] -= 2 * PRESENT_SECONDS
    job.leave(B)
    assert job.finished


def test_a_job_whose_visitor_has_left_belongs_to_who_still_watches(held, request_):
    job = jobs.submit(request_, A)
    job.watch(B)
    assert job.owner == A
    job._watchers[A] -= 2 * PRESENT_SECONDS
    assert job.owner == B
    job._watchers[B] -= 2 * PRESENT_SECONDS
    assert job.owner == A


def test_what_waits_unwatched_leaves_the_line(monkeypatch, held, request_):
    monkeypatch.setenv("PATHSCOPE_QUEUE", "1")
    asked = [request_, *others(request_, 2)]
    jobs.submit(asked[0], A)
    until(lambda: len(held.begun) == 1)
    left = jobs.submit(asked[1], B)
    left._watched -= 31
    assert jobs.submit(asked[2], C).state == "queued"
    assert left.state == "cancelled" and "Nobody watched" in str(left.snapshot().error)


def test_a_full_line_says_how_long_it_takes(monkeypatch, held, request_):
    monkeypatch.setenv("PATHSCOPE_QUEUE", "1")
    asked = [request_, *others(request_, 2)]
    jobs.submit(asked[0], A)
    until(lambda: len(held.begun) == 1)
    jobs.submit(asked[1], B)
    told = refused(asked[2], C)
    assert told.startswith("This demo is busy: 1 job wait") and "about 1 minute of work" in told
    assert told.endswith(OWN_MACHINE)


@pytest.mark.parametrize(
    ("workers", "taken", "left", "minutes"),
    [(1, [60.0], [None], 4), (2, [60.0], [None], 2), (1, [30.0, 90.0], [6.0], 4), (1, [0.1], [], 1)],
)
def test_the_minutes_are_those_of_all_that_wait_and_run(monkeypatch, workers, taken, left, minutes):
    monkeypatch.setenv("PATHSCOPE_WORKERS", str(workers))
    line = Line()
    for seconds in taken * 20:
        line.took(seconds)
    running = [SimpleNamespace(snapshot=lambda s=s: SimpleNamespace(seconds_left=s)) for s in left]
    assert line.minutes(3, running) == minutes


def test_a_job_ends_after_its_seconds_with_what_it_has(monkeypatch, held, request_):
    monkeypatch.setattr("analysis.policy._JOB_SECONDS", 0.05)
    stopped = ended(jobs.submit(request_, A))
    assert stopped.state == "cancelled"
    assert stopped.error is not None and "has taken 0.05 s, the most that one job may take" in stopped.error
    assert stopped.error.endswith(OWN_MACHINE)


def test_a_visit_has_so_many_results_and_no_more(monkeypatch, held, request_):
    monkeypatch.setattr("analysis.policy._RESULTS", 2)
    asked = [request_, *others(request_, 2)]
    with visits.on_behalf_of("counted"):
        visits.count_result()
    jobs.submit(asked[0], "counted")
    assert jobs.submit(asked[0], "counted").request == asked[0], "what runs already is not counted again"
    told = refused(asked[1], "counted")
    assert told.startswith("This visit has had 2 results computed, the most that one visit may have here.")
    assert told.endswith(OWN_MACHINE)
    visits.count_result()
    assert jobs.submit(asked[2], "another").state in ("queued", "starting")


def test_few_visits_are_remembered(monkeypatch):
    monkeypatch.setattr(visits, "MOST_VISITS", 3)
    monkeypatch.setattr(visits, "_computed", type(visits._computed)())
    for visitor in "abcbd":
        visits.count_result(visitor)
    assert dict(visits._computed) == {"c": 1, "b": 2, "d": 1}


def test_on_a_machine_of_ones_own_all_are_one_and_anybody_cancels(monkeypatch, held, request_):
    monkeypatch.delenv("PATHSCOPE_HOSTED")
    asked = [request_, *others(request_, 5)]
    for request in asked:
        jobs.submit(request)
    job: Job = jobs.submit(asked[0])
    job.watch()
    job.leave(None)
    assert job.state == "cancelled"
    held.release.set()
    until(lambda: held.begun[-5:] == asked[1:])
