"""A store and workers of one's own, and a request that a worker can fulfil."""

from __future__ import annotations

import pytest

from analysis.jobs import board as jobs
from analysis.results import AllSourcesRequest
from tests.experiments import on
from tests.jobs.watching import SMALL_PIECES, Held


@pytest.fixture(autouse=True)
def _own_store_and_workers(monkeypatch, own_store):
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


@pytest.fixture
def held(monkeypatch):
    held = Held(monkeypatch)
    yield held
    held.release.set()
