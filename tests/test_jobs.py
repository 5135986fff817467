"""Background sweeps: one run per request, progress, cancel, grace, failure, resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from analysis import cached, jobs, resume
from analysis.errors import Cancelled, PathscopeError, PromptError, Remedy
from analysis.job import _Progress
from analysis.jobs import Job, JobSnapshot
from analysis.patching import Patching
from analysis.requests import AllSourcesRequest, PathRequest
from analysis.results import AllSourcesResult
from tests.chart_samples import all_sources
from tests.experiments import on

ROOT = Path(__file__).resolve().parent.parent
#: Small enough that a sweep of the test model is cut into a dozen pieces.
SMALL_PIECES = str(40_000)


@pytest.fixture(autouse=True)
def _own_store_and_workers(monkeypatch, tmp_path):
    monkeypatch.setenv("PATHSCOPE_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("PATHSCOPE_SWEEP_BYTES", SMALL_PIECES)
    first = jobs._Board()
    monkeypatch.setattr(jobs, "_board", first)
    yield
    for board in {first, jobs._board}:
        board.stop_all()
        board.close()


@pytest.fixture
def request_(family_directory) -> AllSourcesRequest:
    return AllSourcesRequest(on(family_directory("gpt2")))


def others(request: AllSourcesRequest, number: int) -> list[AllSourcesRequest]:
    """Further requests, each different."""
    return [
        replace(request, experiment=replace(request.experiment, answer=f" {letter}"))
        for letter in "ijklmnop"[:number]
    ]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for `condition`; a test that would hang fails instead."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def ended(job: Job) -> JobSnapshot:
    until(lambda: job.snapshot().finished and job.idle.is_set())
    return job.snapshot()


class Held:
    """Stands in for the worker's task: says when it has begun, and goes on when released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[Job] = []
        self.release = threading.Event()
        monkeypatch.setattr(resume, "run", self)

    def __call__(self, job: Job) -> None:
        self.begun.append(job)
        while not self.release.wait(0.01):
            if job.stopping():
                raise Cancelled("stopped")


@pytest.fixture
def held(monkeypatch):
    held = Held(monkeypatch)
    yield held
    held.release.set()


def test_a_sweep_ends_as_the_exact_result_and_is_stored(request_):
    job = jobs.submit(request_)
    done = ended(job)
    assert (done.state, done.error, done.note, done.from_store) == ("done", None, None, False)
    assert (done.pairs_done, done.pairs_total, done.seconds_left) == (48, 48, 0.0)
    assert done.result is not None and done.result.complete
    assert not np.isnan(done.result.estimate[done.result.causal]).any()
    from analysis.compute import compute

    alone = compute(request_, cached.open_store())
    assert isinstance(alone, AllSourcesResult)
    np.testing.assert_allclose(done.result.values, alone.values, atol=2e-5)
    stored = cached.stored(request_)
    assert stored is not None
    np.testing.assert_array_equal(stored.result.values, done.result.values)
    assert cached.stored(PathRequest(request_.experiment, 0, 1)) is not None


def test_pieces_and_estimate_leave_the_store_once_the_whole_is_in_it(request_):
    ended(jobs.submit(request_))
    kinds = {key.split("/")[0] for key in cached.open_store().keys("")}
    assert kinds == {"activations", "result"}


def test_a_stored_sweep_is_a_job_that_is_done(request_):
    first = ended(jobs.submit(request_))
    again = jobs.submit(request_).snapshot()
    assert (again.state, again.from_store, again.pairs_done) == ("done", True, 48)
    assert first.result is not None and again.result is not None
    np.testing.assert_array_equal(again.result.values, first.result.values)


def slowly(monkeypatch: pytest.MonkeyPatch, gate: Callable[[int], None]) -> list[int]:
    """Call `gate` with the number of pieces computed so far before each piece is passed on."""
    computed: list[int] = []
    pieces = Patching.pieces

    def gated(self, *arguments, **options):
        for piece in pieces(self, *arguments, **options):
            computed.append(piece.index)
            gate(len(computed))
            yield piece

    monkeypatch.setattr(Patching, "pieces", gated)
    return computed


def test_the_estimate_is_there_first_and_exact_cells_fill_in(monkeypatch, request_):
    turn, seen = threading.Semaphore(0), threading.Semaphore(0)

    def gate(_: int) -> None:
        seen.release()
        assert turn.acquire(timeout=60)

    computed = slowly(monkeypatch, gate)
    job = jobs.submit(request_)
    assert seen.acquire(timeout=60)
    first = job.snapshot()
    assert (first.state, first.pairs_done, first.seconds_left) == ("running", 0, None)
    assert first.result is not None
    estimate = first.result.estimate[first.result.causal]
    np.testing.assert_array_equal(first.result.effect[first.result.causal], estimate)
    counts = [0]
    while not job.finished:
        turn.release()
        until(lambda: seen.acquire(blocking=False) or job.finished)
        snapshot = job.snapshot()
        assert snapshot.result is not None and snapshot.result.exact.sum() == snapshot.pairs_done
        assert snapshot.result is job.snapshot().result
        assert snapshot.pairs_done > counts[-1]
        assert snapshot.seconds_left is not None and snapshot.seconds_left >= 0
        counts.append(snapshot.pairs_done)
    assert len(computed) == len(counts) - 1 >= 8
    assert counts[-1] == 48


def test_the_time_left_runs_down_between_pieces(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("analysis.job.time", SimpleNamespace(monotonic=lambda: clock.now))
    progress = _Progress(all_sources(measured=0))
    half = np.argwhere(progress._start.causal)[::2]
    clock.now = 10.0
    progress.fill(half, np.zeros(len(half)))
    left = []
    for clock.now in (10.0, 12.5, 60.0):
        left.append(progress._seconds_left())
    assert left == [10.0, 7.5, 0.0]


def test_the_most_promising_pieces_come_first(request_):
    done = ended(jobs.submit(request_)).result
    assert done is not None
    order = resume.most_promising_first(done.estimate)
    sizes = np.abs(done.estimate[tuple(order.T)])
    assert len(order) == 48 and (np.diff(sizes) <= 0).all()


def test_the_same_request_attaches_to_the_running_job(held, request_):
    job = jobs.submit(request_)
    until(lambda: bool(held.begun))
    assert all(jobs.submit(request_) is job for _ in range(16))
    assert jobs.find(request_) is job
    assert jobs.find(others(request_, 1)[0]) is None
    assert held.begun == [job]


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
    until(lambda: bool(held.begun) and first.state == "queued")
    first.estimating()
    second, third = (jobs.submit(request) for request in others(request_, 2))
    assert [job.snapshot().queue_position for job in (first, second, third)] == [0, 0, 1]
    second.cancel()
    assert third.snapshot().queue_position == 0
    held.release.set()
    until(lambda: third in held.begun)
    assert second not in held.begun


def test_a_full_queue_says_so(monkeypatch, held, request_):
    monkeypatch.setenv("PATHSCOPE_QUEUE", "2")
    first = jobs.submit(request_)
    until(lambda: bool(held.begun))
    first.estimating()
    one, two, three = others(request_, 3)
    jobs.submit(one), jobs.submit(two)
    with pytest.raises(
        PathscopeError, match=r"2 sweeps are waiting already, and the queue takes 2\. .*PATHSCOPE_QUEUE"
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
    assert cached.stored(request_) is None
    again = jobs.submit(request_)
    assert again is not job
    assert ended(again).state == "done"
    assert sorted(computed) == list(range(len(computed)))


def test_a_cancelled_job_never_becomes_anything_else(request_):
    job = Job(request_)
    job.cancel()
    job.run()
    job.estimating()
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
    run = resume.run

    def fail_once(job):
        monkeypatch.setattr(resume, "run", run)
        raise error

    monkeypatch.setattr(resume, "run", fail_once)
    failed = ended(jobs.submit(request_))
    assert failed.state == "failed"
    assert failed.error is not None and sentence in failed.error
    assert ended(jobs.submit(request_)).state == "done"


def test_what_is_wrong_with_the_prompts_comes_with_its_remedies(monkeypatch, request_):
    remedy = Remedy("Use another", "clean", " z")

    def refuse(job):
        raise PromptError("The prompts do not fit.", remedy)

    monkeypatch.setattr(resume, "run", refuse)
    failed = ended(jobs.submit(request_))
    assert (failed.error, failed.remedies) == ("The prompts do not fit.", (remedy,))


def test_a_result_that_cannot_be_stored_is_shown_with_the_reason(monkeypatch, request_):
    monkeypatch.setattr("analysis.cache.Store.put", lambda *_: "Shown but not stored: the disk is full.")
    done = ended(jobs.submit(request_))
    assert (done.state, done.note) == ("done", "Shown but not stored: the disk is full.")
    assert done.result is not None and done.result.complete


def another_memory_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHSCOPE_SWEEP_BYTES", str(2 * int(SMALL_PIECES)))


def another_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)


@pytest.mark.parametrize("change", [another_memory_budget, another_number_of_threads])
def test_pieces_cut_or_computed_otherwise_are_not_taken_over(monkeypatch, request_, change):
    computed = slowly(monkeypatch, lambda number: job.cancel() if number == 5 else None)
    job = jobs.submit(request_)
    until(job.idle.is_set)
    until(lambda: job.finished and job.idle.is_set())
    before = len(computed)
    change(monkeypatch)
    # A thread that computes already keeps its number of threads, as a server does until its restart.
    monkeypatch.setattr(jobs, "_board", jobs._Board())
    done = ended(jobs.submit(request_)).result
    assert done is not None and done.complete
    assert 0 in computed[before:]


_KILLED_AT_60_PERCENT = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from analysis import jobs
from analysis.patching import Patching
from analysis.requests import AllSourcesRequest
from tests.chart_samples import all_sources
from tests.experiments import on

pieces = Patching.pieces

def counted(self, *arguments, **options):
    for piece in pieces(self, *arguments, **options):
        print(piece.index, flush=True)
        yield piece

Patching.pieces = counted
job = jobs.submit(AllSourcesRequest(on(sys.argv[1]), component="k"))
while True:
    snapshot = job.snapshot()
    assert not snapshot.finished, snapshot
    if snapshot.pairs_done >= 0.6 * 48:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_sweep_killed_at_60_percent_resumes_and_equals_an_uninterrupted_one(
    monkeypatch, request_, tmp_path
):
    request = replace(request_, component="k")
    run = subprocess.run(
        [sys.executable, "-c", _KILLED_AT_60_PERCENT, request.experiment.model],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    before = [int(line) for line in run.stdout.split()]
    finished = len(cached.open_store().keys("piece/"))
    assert 0 < finished <= len(before)
    pieces = [cached.open_store().get(key) for key in cached.open_store().keys("piece/")]

    notes: list[str | None] = []
    computed = slowly(monkeypatch, lambda _: notes.append(job.snapshot().note))
    job = jobs.submit(request)
    resumed = ended(job).result
    assert resumed is not None and resumed.complete
    measured_before = sum(piece.values["seconds"] for piece in pieces if piece is not None)
    assert resumed.provenance.seconds > measured_before > 0
    total = finished + len(computed)
    assert notes[0] == f"{finished} of {total} parts were measured before and are not measured again."
    assert set(before[:finished]).isdisjoint(computed)
    assert set(before) | set(computed) == set(range(total))

    monkeypatch.setenv("PATHSCOPE_CACHE_DIR", str(tmp_path / "another"))
    uninterrupted = ended(jobs.submit(request)).result
    assert uninterrupted is not None
    assert resumed.values.tobytes() == uninterrupted.values.tobytes()
    assert resumed.estimate.tobytes() == uninterrupted.estimate.tobytes()
