"""Waiting for jobs, and standing between a worker and its pieces."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import Cancelled
from analysis.jobs import Job, JobSnapshot, resume
from analysis.jobs.job import Step
from analysis.patching.of_runs import Patching
from analysis.results import AllSourcesRequest, Request

#: Small enough that a sweep of the test model is cut into a dozen pieces.
SMALL_PIECES = str(40_000)


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
        self.begun: list[Request[Any]] = []
        self.release = threading.Event()
        monkeypatch.setattr(resume, "steps", self)

    def __call__(self, request: Request[Any], stop: Callable[[], bool]) -> Iterator[Step[Any]]:
        self.begun.append(request)
        while not self.release.wait(0.01):
            if stop():
                raise Cancelled("stopped")
        return iter(())


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
