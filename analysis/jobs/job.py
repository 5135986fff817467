"""One piece of long work in the background, as the worker runs it and as pages see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Self, TypeVar

from analysis.answers import Answer
from analysis.errors import Cancelled, PathscopeError, Remedy
from analysis.memory import give_back
from analysis.results import GrowingResult, LongRequest
from analysis.settings import settings

G = TypeVar("G", bound=GrowingResult)
G_co = TypeVar("G_co", bound=GrowingResult, covariant=True)

State = Literal["queued", "starting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, eq=False)
class Step(Generic[G_co]):
    """How far the work has come: the result as it stands, and the share of the work that is left.

    `note` is a sentence about the store, `stored` False of a step that could not be kept there, `whole`
    true of the last step alone.
    """

    result: G_co
    share_left: float
    note: str | None = None
    stored: bool = True
    whole: bool = False


#: What a worker does: the steps of a request's work. Raises `Cancelled` once the function that it is
#: given returns true.
Steps = Callable[[LongRequest[G], Callable[[], bool]], Iterator[Step[G]]]


@dataclass(frozen=True, eq=False)
class JobSnapshot(Generic[G_co]):
    """A job at one moment.

    `queue_position` counts the jobs that wait before this one. `seconds_left` is None until there is a
    pace to judge it by. `result` grows while the job is
    running, and is whole once `state` is "done". `error` is a sentence where the job failed or was
    stopped by the server, `remedies` what would mend it. `note` is a sentence about the store: what
    was resumed from it, or why something could not be stored, and `stored` is False once a finished
    piece could not be.
    """

    state: State
    queue_position: int = 0
    seconds_left: float | None = None
    result: G_co | None = None
    error: str | None = None
    remedies: tuple[Remedy, ...] = ()
    from_store: bool = False
    note: str | None = None
    stored: bool = True

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def n_done(self) -> int:
        """How many parts of the result are final; `result.counted` tells what they are."""
        return 0 if self.result is None else self.result.n_done

    @property
    def n_total(self) -> int:
        """How many parts the whole result has; 0 before the first step."""
        return 0 if self.result is None else self.result.n_total


class Job(Generic[G]):
    """Work that belongs to the process; any number of pages may watch, and any of them may cancel it."""

    def __init__(self, request: LongRequest[G], steps: Steps[G] | None = None) -> None:
        self.request, self._steps = request, steps
        #: Set while no worker is busy with this job.
        self.idle = threading.Event()
        self.idle.set()
        self.place_in_queue: Callable[[], int] = lambda: 0
        self._lock = threading.Lock()
        self._now: JobSnapshot[G] = JobSnapshot("queued")
        self._cancelled = threading.Event()
        self._watched = time.monotonic()
        self._grace = settings().grace_seconds
        self._pace: _Pace | None = None

    @classmethod
    def already_done(cls, request: LongRequest[G], found: Answer[G]) -> Self:
        """A job whose result was in the store."""
        job = cls(request)
        job._now = JobSnapshot("done", seconds_left=0.0, result=found.result, from_store=True)
        return job

    @property
    def state(self) -> State:
        """What the job is doing."""
        return self._now.state

    @property
    def finished(self) -> bool:
        """Whether the job has ended, in whatever way."""
        return self._now.finished

    def snapshot(self) -> JobSnapshot[G]:
        """The job as it stands; cheap enough to be asked for many times a second."""
        place = self.place_in_queue() if self.state == "queued" else 0
        with self._lock:
            now = replace(self._now, queue_position=place)
            if now.state == "running" and self._pace is not None:
                return replace(now, seconds_left=self._pace.seconds_left())
            return now

    def cancel(self) -> None:
        """Stop the job; what is finished stays in the store and is not computed again."""
        self._cancelled.set()
        self._change(state="cancelled")

    def watch(self) -> None:
        """Say that somebody is looking; without it the job stops after the grace period, if one is set."""
        self._watched = time.monotonic()

    def stopping(self) -> bool:
        """Whether the worker has to give up: cancelled, or unwatched for longer than the grace period."""
        grace = self._grace
        if 0 <= grace < time.monotonic() - self._watched:
            self._change(
                state="cancelled",
                error=f"Nobody watched this {self.request.called} for {grace:.0f} s, so it was stopped. Run "
                "it again to go on from where it stood.",
            )
            self._cancelled.set()
        return self._cancelled.is_set()

    def run(self) -> None:
        """Do the whole work; called by a worker thread, which reports what this raises to `fail`."""
        self.idle.clear()
        try:
            if self._steps is not None and not self.stopping():
                self._change(state="starting")
                for step in self._steps(self.request, self.stopping):
                    self._take(step)
        except Cancelled:
            self.cancel()
        finally:
            give_back()
            self.idle.set()
            self._pace = None

    def fail(self, error: BaseException) -> None:
        """End the job with what went wrong, in a sentence."""
        if isinstance(error, PathscopeError):
            self._change(state="failed", error=str(error), remedies=error.remedies)
            return
        words = " ".join(str(error).split())
        what = f"{type(error).__name__}, {words}" if words else type(error).__name__
        self._change(
            state="failed",
            error=f"The {self.request.called} failed: {what}. Run it again, or choose a smaller model or "
            "shorter prompts if memory ran out.",
        )

    def _take(self, step: Step[G]) -> None:
        if step.whole:
            self._change(state="done", result=step.result, note=step.note, seconds_left=0.0)
            return
        with self._lock:
            if self._pace is None:
                self._pace = _Pace(step.share_left)
            self._pace.went_on(step.share_left)
        told: dict[str, Any] = {} if step.note is None else {"note": step.note}
        told |= {} if step.stored else {"stored": False}
        self._change(state="running", result=step.result, **told)

    def _change(self, **changes: Any) -> None:
        with self._lock:
            if not self._now.finished:
                self._now = replace(self._now, **changes)


class _Pace:
    """How long the rest of the work will take, judged by the share of it that is done.

    Pieces differ in work, and come in the order of promise, so their number is no measure.
    """

    def __init__(self, share_left: float) -> None:
        self._at_first = self._left = share_left
        self._began = self._latest = time.monotonic()

    def went_on(self, share_left: float) -> None:
        """Another step is taken, after which `share_left` of the whole work is left."""
        self._left, self._latest = share_left, time.monotonic()

    def seconds_left(self) -> float | None:
        """At the pace of the work done so far; it runs down between one step and the next."""
        done = self._at_first - self._left
        if done <= 0:
            return None
        left = (self._latest - self._began) / done * self._left
        return max(0.0, left - (time.monotonic() - self._latest))
