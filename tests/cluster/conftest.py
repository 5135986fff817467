"""A store and jobs of one's own, and what is asked on the bundled model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analysis.demo_model.examples import EXAMPLES
from analysis.jobs import board as jobs
from analysis.requests import Experiment

#: Small enough that a sweep of the bundled model is cut into a dozen pieces.
SMALL_PIECES = "2000000"


@pytest.fixture(autouse=True)
def _own_store_and_jobs(monkeypatch, own_store) -> Iterator[None]:
    monkeypatch.setenv("PATHSCOPE_SWEEP_BYTES", SMALL_PIECES)
    monkeypatch.setattr(jobs, "_board", jobs._Board())
    yield
    jobs._board.stop_all()
    jobs._board.close()


@pytest.fixture
def experiment() -> Experiment:
    one = EXAMPLES[0]
    return Experiment("demo", one.clean, one.corrupted, one.answer, one.foil)
