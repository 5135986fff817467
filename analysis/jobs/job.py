"""One sweep over all sources in the background, as the worker runs it and as pages see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from analysis.answers import Answer
from analysis.errors import Cancelled, PathscopeError, Remedy
from analysis.results import AllSourcesRequest, AllSourcesResult
from analysis.settings import settings

State = Literal["queued", "estimating", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, eq=False)
class JobSnapshot:
    """A job at one moment.

    `queue_position` counts the sweeps that wait before this one. `result` is the estimate with
    exact cells filling in, and exact altogether once `state` is "done". `error` is a sentence
    where the job failed or was stopped by the server, `remedies` what would mend it. `note` is a
    sentence about the store: what was resumed from it, or why something could not be stored.
    """

    state: State
    queue_position: int = 0
    pairs_done: int = 0
    pairs_total: int = 0
    seconds_left: float | None = None
    result: AllSourcesResult | None = None
    error: str | None = None
    remedies: tuple[Remedy, ...] = ()
    from_store: bool = False
    note: str | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")


class Job:
    """A sweep that belongs to the process; any number of pages may watch, and one may cancel it."""

    def __init__(self, request: AllSourcesRequest, work: Callable[[Job], None] | None = None) -> None:
        self.request, self._work = request, work
        #: Set while no worker is busy with this job.
        self.idle = threading.Event()
        self.idle.set()
        self.place_in_queue: Callable[[], int] = lambda: 0
        self._lock = threading.Lock()
        self._now = JobSnapshot("queued")
        self._cancelled = threading.Event()
        self._watched = time.monotonic()
        self._grace = settings().grace_seconds
        self._progress: _Progress | None = None

    @classmethod
    def already_done(cls, found: Answer[AllSourcesResult]) -> Self:
        """A job whose result was in the store."""
        job = cls(found.result.request)
        pairs = int(found.result.causal.sum())
        job._now = JobSnapshot(
            "done",
            pairs_done=pairs,
            pairs_total=pairs,
            seconds_left=0.0,
            result=found.result,
            from_store=True,
        )
        return job

    @property
    def state(self) -> State:
        """What the job is doing."""
        return self._now.state

    @property
    def finished(self) -> bool:
        """Whether the job has ended, in whatever way."""
        return self._now.finished

    def snapshot(self) -> JobSnapshot:
        """The job as it stands; cheap enough to be asked for many times a second."""
        place = self.place_in_queue() if self.state == "queued" else 0
        with self._lock:
            if self._now.state == "running" and self._progress is not None:
                self._now = self._progress.shown_by(self._now)
            return replace(self._now, queue_position=place)

    def cancel(self) -> None:
        """Stop the job; what is finished stays in the store and is not computed again."""
        self._cancelled.set()
        self._end("cancelled")

    def watch(self) -> None:
        """Say that somebody is looking; without it the job stops after the grace period, if one is set."""
        self._watched = time.monotonic()

    def stopping(self) -> bool:
        """Whether the worker has to give up: cancelled, or unwatched for longer than the grace period."""
        grace = self._grace
        if 0 <= grace < time.monotonic() - self._watched:
            self._end(
                "cancelled",
                error=f"Nobody watched this sweep for {grace:.0f} s, so it was stopped. Run it again to go "
                "on from where it stood.",
            )
            self._cancelled.set()
        return self._cancelled.is_set()

    def run(self) -> None:
        """Do the whole work; called by a worker thread, which reports what this raises to `fail`."""
        self.idle.clear()
        try:
            if self._work is not None and not self.stopping():
                self._work(self)
        except Cancelled:
            self.cancel()
        finally:
            self.idle.set()
            self._progress = None

    def fail(self, error: BaseException) -> None:
        """End the job with what went wrong, in a sentence."""
        if isinstance(error, PathscopeError):
            self._end("failed", error=str(error), remedies=error.remedies)
            return
        what = " ".join(str(error).split())
        self._end(
            "failed",
            error=f"The sweep failed: {type(error).__name__}{f', {what}' if what else ''}. Run it again, or "
            "choose a smaller model or shorter prompts if memory ran out.",
        )

    def estimating(self) -> None:
        """The worker has begun."""
        self._change(state="estimating")

    def running(self, start: AllSourcesResult, note: str | None, share_left: float) -> None:
        """The estimate is there, and whatever a former run had finished; `share_left` of the work is not."""
        with self._lock:
            self._progress = _Progress(start, share_left)
        self._change(state="running", note=note)

    def filled(self, edges: np.ndarray, values: np.ndarray, note: str | None, share: float) -> None:
        """Another piece is measured, which was `share` of the whole work."""
        with self._lock:
            if self._progress is not None:
                self._progress.fill(edges, values, share)
        if note is not None:
            self._change(note=note)

    def done(self, result: AllSourcesResult, note: str | None) -> None:
        """The whole result is there."""
        pairs = int(result.causal.sum())
        self._end("done", pairs_done=pairs, pairs_total=pairs, seconds_left=0.0, result=result, note=note)

    def _end(self, state: State, **changes: object) -> None:
        self._change(state=state, **changes)

    def _change(self, **changes: object) -> None:
        with self._lock:
            if not self._now.finished:
                self._now = replace(self._now, **changes)  # type: ignore[arg-type]


class _Progress:
    """Exact cells as they come in, and the time that the rest will take."""

    def __init__(self, start: AllSourcesResult, share_left: float) -> None:
        self._start = start
        self._values = start.values.copy()
        self._total = int(start.causal.sum())
        self._done = int(start.measured.sum())
        self._share_left, self._share_done = share_left, 0.0
        self._began = self._filled = time.monotonic()
        self._shown = -1

    def fill(self, edges: np.ndarray, values: np.ndarray, share: float) -> None:
        """Enter the exact `values` of `edges`, which were `share` of the whole work."""
        self._values[tuple(edges.T)] = values
        self._done += len(edges)
        self._share_left -= share
        self._share_done += share
        self._filled = time.monotonic()

    def shown_by(self, snapshot: JobSnapshot) -> JobSnapshot:
        """`snapshot` brought up to date; the same result object while nothing new has come in."""
        result = snapshot.result
        if result is None or self._shown != self._done:
            result = replace(self._start, values=self._values.copy())
            self._shown = self._done
        return replace(
            snapshot,
            pairs_done=self._done,
            pairs_total=self._total,
            seconds_left=self._seconds_left(),
            result=result,
        )

    def _seconds_left(self) -> float | None:
        """At the pace of the work done so far; it runs down between one piece and the next.

        Paths differ in work, and the pieces come in the order of promise, so pairs are no measure.
        """
        if not self._share_done:
            return None
        left = (self._filled - self._began) / self._share_done * self._share_left
        return max(0.0, left - (time.monotonic() - self._filled))
