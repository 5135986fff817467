"""Background sweeps: one run per request, queue, cancel, grace, failure."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from analysis import answers
from analysis.errors import PathscopeError, PromptError, Remedy
from analysis.jobs import board as jobs
from analysis.jobs import resume
from analysis.jobs.job import Job, Step
from tests.chart_samples import all_sources
from tests.jobs.watching import ended, others, slowly, until


def test_a_stored_sweep_is_a_job_that_is_done(request_):
    first = ended(jobs.submit(request_))
    again = jobs.submit(request_).snapshot()
    assert (again.state, again.from_store, again.n_done) == ("done", True, 48)
    assert first.result is not None and again.result is not None
    np.testing.assert_array_equal(again.result.values, first.result.values)


def test_the_time_left_goes_by_the_work_that_is_left_and_runs_down_between_pieces(monkeypatch, request_):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("analysis.jobs.job.time", SimpleNamespace(monotonic=lambda: clock.now))
    job = Job(request_)
    whole = all_sources(measured=0)
    job._take(Step(whole, 0.8))
    assert job.snapshot().seconds_left is None
    clock.now = 10.0
    job._take(Step(whole, 0.3))
    left = []
    for clock.now in (10.0, 12.5, 60.0):
        left.append(job.snapshot().seconds_left)
    assert left == pytest.approx([6.0, 3.5, 0.0])


def test_the_same_request_attaches_to_the_running_job(held, request_):
    job = jobs.submit(request_)
    until(lambda: bool(held.begun))
    assert all(jobs.submit(request_) is job for _ in range(16))
    assert jobs.find(request_) is job
    assert jobs.find(others(request_, 1)[0]) is None
    assert held.begun == [request_]


def test_sixteen_simultaneous_submissions_are_one_job(held, request_):
    found: list[Job] = []
    visitors = [threading.Thread(target=lambda: found.append(jobs.submit(request_))) for _ in range(16)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    until(lambda: bool(held.begun))
    assert len(found) == 16 and len(set(map(id, found))) == 1 == len(held.begun)


def test_jobs_wait_their_turn_and_know_their_place(held, request_):
    first = jobs.submit(request_)
    until(lambda: held.begun == [request_])
    assert first.state == "starting"
    second, third = (jobs.submit(request) for request in others(request_, 2))
    assert [job.snapshot().queue_position for job in (first, second, third)] == [0, 0, 1]
    second.cancel()
    assert third.snapshot().queue_position == 0
    held.release.set()
    until(lambda: third.request in held.begun)
    assert second.request not in held.begun


def test_a_full_queue_says_so(monkeypatch, held, request_):
    monkeypatch.setenv("PATHSCOPE_QUEUE", "2")
    jobs.submit(request_)
    until(lambda: bool(held.begun))
    one, two, three = others(request_, 3)
    jobs.submit(one), jobs.submit(two)
    with pytest.raises(
        PathscopeError, match=r"2 jobs are waiting already, and the queue takes 2\. .*PATHSCOPE_QUEUE"
    ):
        jobs.submit(three)
    assert jobs.submit(one).state == "queued"


def test_two_workers_run_two_jobs_at_once(monkeypatch, held, request_):
    monkeypatch.setenv("PATHSCOPE_WORKERS", "2")
    for request in (request_, *others(request_, 2)):
        jobs.submit(request)
    until(lambda: len(held.begun) == 2)
    time.sleep(0.05)
    assert len(held.begun) == 2


def test_cancel_frees_the_worker_and_keeps_what_is_finished(monkeypatch, request_):
    begun = threading.Event()

    def gate(number: int) -> None:
        if number == 4:
            begun.set()
            until(lambda: job.state == "cancelled")

    computed = slowly(monkeypatch, gate)
    job = jobs.submit(request_)
    assert begun.wait(60)
    job.cancel()
    assert job.snapshot().state == "cancelled"
    until(job.idle.is_set)
    assert len(computed) == 4
    assert answers.stored(request_) is None
    again = jobs.submit(request_)
    assert again is not job
    assert ended(again).state == "done"
    assert sorted(computed) == list(range(len(computed)))


def test_a_cancelled_job_never_becomes_anything_else(request_):
    job = Job(request_)
    job.cancel()
    job.run()
    job._take(Step(all_sources(), 0.0, whole=True))
    job.fail(RuntimeError("late"))
    assert job.snapshot().state == "cancelled" and job.snapshot().error is None


def test_a_sweep_that_nobody_watches_stops_after_the_grace_period(monkeypatch, held, request_):
    monkeypatch.setenv("PATHSCOPE_GRACE", "0.1")
    stopped = ended(jobs.submit(request_))
    assert stopped.state == "cancelled"
    assert stopped.error is not None and "Nobody watched" in stopped.error


def test_watching_keeps_it_alive(monkeypatch, held, request_):
    monkeypatch.setenv("PATHSCOPE_GRACE", "0.5")
    job = jobs.submit(request_)
    until(lambda: bool(held.begun))
    for _ in range(100):
        job.watch()
        time.sleep(0.01)
    assert not job.finished
    assert ended(job).state == "cancelled"


def test_without_a_grace_period_it_goes_on(held, request_):
    job = jobs.submit(request_)
    job._watched -= 10**6
    assert not job.stopping()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RuntimeError("not enough memory:\n you tried to allocate 9 GB"), "not enough memory: you tried to"),
        (MemoryError(), "The sweep failed: MemoryError."),
        (KeyError("blocks.0"), "The sweep failed: KeyError, 'blocks.0'."),
    ],
)
def test_a_failure_is_a_sentence_and_leaves_the_worker_alive(monkeypatch, request_, error, sentence):
    steps = resume.steps

    def fail_once(request, stop):
        monkeypatch.setattr(resume, "steps", steps)
        raise error

    monkeypatch.setattr(resume, "steps", fail_once)
    failed = ended(jobs.submit(request_))
    assert failed.state == "failed"
    assert failed.error is not None and sentence in failed.error
    assert ended(jobs.submit(request_)).state == "done"


def test_what_is_wrong_with_the_prompts_comes_with_its_remedies(monkeypatch, request_):
    remedy = Remedy("Use another", field="clean", value=" z")

    def refuse(request, stop):
        raise PromptError("The prompts do not fit.", remedy)

    monkeypatch.setattr(resume, "steps", refuse)
    failed = ended(jobs.submit(request_))
    assert (failed.error, failed.remedies) == ("The prompts do not fit.", (remedy,))
