"""A sweep in pieces: the estimate first, every piece stored, nothing measured twice after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import answers
from analysis.jobs import board as jobs
from analysis.patching.all_sources import most_promising_first
from analysis.results import AllSourcesResult, PathRequest
from analysis.store import open_store
from tests.jobs.watching import SMALL_PIECES, ended, slowly, until

ROOT = Path(__file__).resolve().parents[2]


def test_a_sweep_ends_as_the_exact_result_and_is_stored(request_):
    job = jobs.submit(request_)
    done = ended(job)
    assert (done.state, done.error, done.note, done.from_store) == ("done", None, None, False)
    assert (done.n_done, done.n_total, done.seconds_left) == (48, 48, 0.0)
    assert done.result is not None and done.result.complete
    assert not np.isnan(done.result.estimate[done.result.causal]).any()
    from analysis.answers.compute import compute

    alone = compute(request_, open_store())
    assert isinstance(alone, AllSourcesResult)
    np.testing.assert_allclose(done.result.values, alone.values, atol=2e-5)
    stored = answers.stored(request_)
    assert stored is not None
    np.testing.assert_array_equal(stored.result.values, done.result.values)
    assert answers.stored(PathRequest(request_.experiment, 0, 1)) is not None


def test_pieces_and_estimate_leave_the_store_once_the_whole_is_in_it(request_):
    ended(jobs.submit(request_))
    kinds = {key.split("/")[0] for key in open_store().keys("")}
    assert kinds == {"result"}


def test_the_estimate_is_there_first_and_exact_cells_fill_in(monkeypatch, request_):
    turn, seen = threading.Semaphore(0), threading.Semaphore(0)

    def gate(_: int) -> None:
        seen.release()
        assert turn.acquire(timeout=60)

    computed = slowly(monkeypatch, gate)
    job = jobs.submit(request_)
    assert seen.acquire(timeout=60)
    first = job.snapshot()
    assert (first.state, first.n_done, first.seconds_left) == ("running", 0, None)
    assert first.result is not None
    estimate = first.result.estimate[first.result.causal]
    np.testing.assert_array_equal(first.result.effect[first.result.causal], estimate)
    counts = [0]
    while not job.finished:
        turn.release()
        until(lambda: seen.acquire(blocking=False) or job.finished)
        snapshot = job.snapshot()
        assert snapshot.result is not None and snapshot.result.measured.sum() == snapshot.n_done
        assert snapshot.result is job.snapshot().result
        assert snapshot.n_done > counts[-1]
        assert snapshot.seconds_left is not None and snapshot.seconds_left >= 0
        counts.append(snapshot.n_done)
    assert len(computed) == len(counts) - 1 >= 8
    assert counts[-1] == 48


def test_the_most_promising_pieces_come_first(request_):
    done = ended(jobs.submit(request_)).result
    assert done is not None
    order = most_promising_first(done.estimate)
    sizes = np.abs(done.estimate[tuple(order.T)])
    assert len(order) == 48 and (np.diff(sizes) <= 0).all()


def test_after_the_first_piece_the_strongest_paths_are_measured_ones(monkeypatch, request_):
    reached, release = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if number == 2:
            reached.set()
            assert release.wait(timeout=60)

    slowly(monkeypatch, hold)
    job = jobs.submit(request_)
    assert reached.wait(timeout=60)
    now = job.snapshot().result
    release.set()
    assert now is not None and 0 < now.n_done < 48 / 8
    assert now.table(now.n_done)["measured"].all()
    strongest = most_promising_first(now.estimate)[: now.n_done]
    assert now.measured[tuple(strongest.T)].all()
    # Whatever their layers: that is what a table of the strongest asks for.
    assert len(np.unique(strongest[:, 2])) > 1
    ended(job)


def test_a_result_that_cannot_be_stored_is_shown_with_the_reason(monkeypatch, request_):
    monkeypatch.setattr(
        "analysis.store.store.Store.put", lambda *_: "Shown but not stored: the disk is full."
    )
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
from analysis.jobs import board as jobs
from analysis.patching.of_runs import Patching
from analysis.results import AllSourcesRequest
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
    if snapshot.n_done >= 0.6 * 48:
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
    finished = len(open_store().keys("piece/"))
    assert 0 < finished <= len(before)
    pieces = [open_store().get(key) for key in open_store().keys("piece/")]

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

    monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "another"))
    uninterrupted = ended(jobs.submit(request)).result
    assert uninterrupted is not None
    assert resumed.values.tobytes() == uninterrupted.values.tobytes()
    assert resumed.estimate.tobytes() == uninterrupted.estimate.tobytes()
