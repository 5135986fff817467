"""A new kind of question is declared in one file, this one, and every door of the house knows it.

How large an MLP's hidden layer is at each position of the clean run: quick to ask for one position,
and a survey of all of them, which is done position by position.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, assert_type

import numpy as np
import pytest
import torch

from analysis.answers import Answer, answer, result_key, stored
from analysis.errors import Cancelled
from analysis.experiment import Origin
from analysis.jobs import Job, find, submit
from analysis.requests import FoundIn
from analysis.results import (
    Arrays,
    GrowingResult,
    LongRequest,
    Request,
    Result,
    request_from_json,
    request_to_json,
)
from analysis.store import open_store
from tests.experiments import on
from tests.jobs.watching import ended, until

#: Read by no other kind.
HIDDEN = "blocks.1.mlp.hook_post"


@dataclass(frozen=True, eq=False)
class SizeResult(Result):
    request: SizeRequest
    size: float


@dataclass(frozen=True)
class SizeRequest(Request[SizeResult]):
    computed_by = f"{__name__}:size_result"
    version = 1
    reads = (f"{__name__}:activations_read",)

    position: int

    def found_in(self) -> tuple[FoundIn[SizeResult], ...]:
        def taken_out(survey: SurveyResult) -> SizeResult | None:
            if not 0 <= self.position < len(survey.sizes):
                return None
            return SizeResult(self, survey.provenance, float(survey.sizes[self.position]))

        return ((SurveyRequest(self.experiment), taken_out),)


@dataclass(frozen=True, eq=False)
class SurveyResult(GrowingResult):
    arrays: ClassVar[tuple[str, ...]] = ("sizes",)
    counted: ClassVar[str] = "positions"

    request: SurveyRequest
    sizes: np.ndarray

    @property
    def n_done(self) -> int:
        return int(np.isfinite(self.sizes).sum())

    @property
    def n_total(self) -> int:
        return len(self.sizes)

    def filled(self, pieces: Iterable[Arrays]) -> SurveyResult:
        sizes = self.sizes.copy()
        for piece in pieces:
            sizes[piece["at"]] = piece["size"]
        return replace(self, sizes=sizes)


@dataclass(frozen=True)
class SurveyRequest(LongRequest[SurveyResult]):
    computed_by = f"{__name__}:Survey"
    version = 1
    reads = (f"{__name__}:activations_read",)
    called = "survey"

    from_the_end: bool = False


def activations_read(bridge: Any) -> set[str]:
    return {HIDDEN}


def measured(origin: Origin, position: int) -> float:
    return float(origin.runs.clean.activations[HIDDEN][0, position].double().norm())


def size_result(request: SizeRequest, origin: Origin) -> SizeResult:
    return SizeResult(request, origin.provenance(), measured(origin, request.position))


class Survey:
    """Measures position by position; a test may stand between one and the next."""

    measured: ClassVar[list[int]] = []
    gate: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def __init__(self, request: SurveyRequest, origin: Origin) -> None:
        self._request, self._origin = request, origin

    def prepared(self) -> Arrays:
        order = np.arange(len(self._origin.runs.pair.clean_tokens))
        return {"order": order[::-1].copy() if self._request.from_the_end else order}

    def cut(self, prepared: Arrays) -> Survey:
        self._order = prepared["order"]
        self.content: dict[str, Any] = {"order": self._order.tolist()}
        self.shares = np.full(len(self._order), 1 / len(self._order))
        sizes = np.full(len(self._order), np.nan)
        self.start = SurveyResult(self._request, self._origin.provenance(), sizes)
        return self

    def run(
        self, finished: Mapping[int, Arrays], stop: Callable[[], bool] | None = None
    ) -> Iterator[tuple[int, Arrays]]:
        for index, position in enumerate(self._order):
            if index in finished:
                continue
            if stop is not None and stop():
                raise Cancelled("The survey was stopped.")
            Survey.measured.append(int(position))
            yield (
                index,
                {"at": np.array([position]), "size": np.array([measured(self._origin, int(position))])},
            )
            Survey.gate()


@pytest.fixture
def experiment(family_directory):
    return on(family_directory("gpt2"))


@pytest.fixture(autouse=True)
def _afresh(monkeypatch):
    monkeypatch.setattr(Survey, "measured", [])


def expected(experiment) -> np.ndarray:
    """The sizes, from a run of the model of one's own."""
    from analysis import models

    bridge = models.load(experiment.model).bridge
    with torch.no_grad():
        _, cache = bridge.run_with_cache(bridge.to_tokens(experiment.clean))
    return cache[HIDDEN][0].double().norm(dim=-1).numpy()


def test_it_is_asked_and_its_answer_has_its_type(experiment):
    quick = answer(SizeRequest(experiment, 3))
    assert_type(quick, Answer[SizeResult])
    whole = answer(SurveyRequest(experiment))
    assert_type(whole, Answer[SurveyResult])
    assert not quick.from_store and not whole.from_store
    np.testing.assert_allclose(whole.result.sizes, expected(experiment), rtol=1e-5)
    assert quick.result.size == whole.result.sizes[3]
    assert whole.result.n_done == whole.result.n_total == len(whole.result.sizes)
    assert whole.result.provenance.seconds > 0


def test_it_is_stored_and_restored(experiment):
    request = SizeRequest(experiment, 3)
    assert stored(request) is None
    first = answer(request).result
    found = stored(request)
    assert found is not None and found.from_store
    assert (found.result.size, found.result.provenance) == (first.size, first.provenance)
    assert request_from_json(json.loads(json.dumps(request_to_json(request)))) == request


def test_it_is_taken_out_of_an_answer_that_holds_it(experiment):
    survey = answer(SurveyRequest(experiment)).result
    found = stored(SizeRequest(experiment, 2))
    assert found is not None and found.from_store
    assert (found.result.request.position, found.result.size) == (2, survey.sizes[2])
    assert stored(SizeRequest(experiment, survey.n_total)) is None


def test_another_question_and_another_version_have_keys_of_their_own(monkeypatch, experiment):
    requests = [SizeRequest(experiment, 2), SizeRequest(experiment, 3), SurveyRequest(experiment)]
    answer(requests[0])
    before = {result_key(request, open_store()) for request in requests}
    assert len(before) == 3
    monkeypatch.setattr(SizeRequest, "version", 2)
    assert result_key(requests[0], open_store()) not in before
    assert stored(requests[0]) is None
    assert not answer(requests[0]).from_store


def test_it_runs_as_a_job_and_grows_piece_by_piece(monkeypatch, experiment):
    turn, seen = threading.Semaphore(0), threading.Semaphore(0)

    def gate() -> None:
        seen.release()
        assert turn.acquire(timeout=60)

    monkeypatch.setattr(Survey, "gate", gate)
    request = SurveyRequest(experiment)
    job = submit(request)
    assert_type(job, Job[SurveyResult])
    assert find(request) is job
    counts = []
    while not job.finished:
        until(lambda: seen.acquire(blocking=False) or job.finished)
        snapshot = job.snapshot()
        assert snapshot.result is not None and snapshot.result.counted == "positions"
        assert snapshot.seconds_left is not None
        counts.append((snapshot.n_done, snapshot.n_total))
        turn.release()
    done = ended(job)
    total = done.n_total
    assert done.state == "done" and done.result is not None
    assert counts[:total] == [(number, total) for number in range(1, total + 1)]
    assert done.result.sizes.tobytes() == answer(request).result.sizes.tobytes()
    assert submit(request).snapshot().from_store
    assert {key.split("/")[0] for key in open_store().keys("")} == {"result"}


def cancelled_after(
    pieces: int, request: SurveyRequest, monkeypatch: pytest.MonkeyPatch
) -> Job[SurveyResult]:
    def gate() -> None:
        if len(Survey.measured) == pieces:
            job.cancel()

    begin = threading.Event()
    monkeypatch.setattr(Survey, "gate", lambda: gate() if begin.wait(60) else None)
    job = submit(request)
    begin.set()
    assert ended(job).state == "cancelled"
    monkeypatch.setattr(Survey, "gate", lambda: None)
    return job


def test_it_is_cancelled_and_resumed_where_it_stood(monkeypatch, experiment):
    request = SurveyRequest(experiment)
    job = cancelled_after(3, request, monkeypatch)
    assert Survey.measured == [0, 1, 2] and stored(request) is None
    assert job.snapshot().n_done == 3
    took_a_quarter_hour(open_store().keys("piece/"))
    done = ended(submit(request))
    assert done.state == "done" and done.result is not None
    assert Survey.measured == list(range(done.n_total))
    np.testing.assert_allclose(done.result.sizes, expected(experiment), rtol=1e-5)
    assert done.result.provenance.seconds > 2700


def took_a_quarter_hour(keys: list[str]) -> None:
    for key in keys:
        entry = open_store().get(key)
        assert entry is not None
        open_store().put(key, {name: value.copy() for name, value in entry.arrays.items()}, {"seconds": 900})


def test_pieces_of_another_cut_are_not_taken_over(monkeypatch, experiment):
    cancelled_after(3, SurveyRequest(experiment), monkeypatch)
    prepared = Survey.prepared
    monkeypatch.setattr(Survey, "prepared", lambda self: {"order": prepared(self)["order"][::-1].copy()})
    for key in open_store().keys("prepared/"):
        open_store().delete(key)
    done = ended(submit(SurveyRequest(experiment)))
    assert Survey.measured[3:] == list(reversed(range(done.n_total)))


def test_its_failure_is_told_in_its_own_word(monkeypatch, experiment):
    monkeypatch.setattr(Survey, "gate", lambda: 1 / 0)
    failed = ended(submit(SurveyRequest(experiment)))
    assert failed.error is not None and failed.error.startswith("The survey failed: ZeroDivisionError")
