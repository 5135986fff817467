"""One piece of long work in the background, as the worker runs it and as pages see it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Self, TypeVar

from analysis.answers import Answer
from analysis.errors import Cancelled, PathscopeError, Remedy
from analysis.jobs.lanes import Visitor
from analysis.memory import give_back
from analysis.policy import OWN_MACHINE, policy
from analysis.results import GrowingResult, LongRequest

G = TypeVar("G", bound=GrowingResult)
G_co = TypeVar("G_co", bound=GrowingResult, covariant=True)

#: Seconds for which a page that has looked counts as there; a page that shows a job looks twice a second.
PRESENT_SECONDS = 5.0

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
    """Work that belongs to the process; any number of pages may watch it.

    Where visitors are told apart, `visitor` has asked for it first.
    """

    def __init__(
        self, request: LongRequest[G], steps: Steps[G] | None = None, visitor: Visitor = None
    ) -> None:
        self.request, self._steps, self._visitor = request, steps, visitor
        #: Set while no worker is busy with this job.
        self.idle = threading.Event()
        self.idle.set()
        self.place_in_queue: Callable[[], int] = lambda: 0
        self._lock = threading.Lock()
        self._now: JobSnapshot[G] = JobSnapshot("queued")
        self._cancelled = threading.Event()
        self._watched = time.monotonic()
        self._watchers: dict[Visitor, float] = {visitor: self._watched}
        self._began = math.inf
        self._grace, self._most_seconds = policy().grace_seconds, policy().job_seconds
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

    def watch(self, visitor: Visitor = None) -> None:
        """Say that `visitor` looks; unwatched the job stops after the grace period, if one is set."""
        self._watched = time.monotonic()
        with self._lock:
            self._watchers[visitor] = self._watched

    @property
    def owner(self) -> Visitor:
        """For whom the job is: who asked for it first, or who else still looks where that one has left."""
        there = self._there()
        return self._visitor if self._visitor in there or not there else there[0]

    def others(self, visitor: Visitor) -> int:
        """How many visitors beside `visitor` look."""
        return sum(other != visitor for other in self._there())

    def leave(self, visitor: Visitor) -> None:
        """Stop the job for `visitor`, unless somebody else looks: then it goes on."""
        if not self.others(visitor):
            self.cancel()

    def _there(self) -> list[Visitor]:
        since = time.monotonic() - PRESENT_SECONDS
        with self._lock:
            self._watchers = {visitor: at for visitor, at in self._watchers.items() if at >= since}
            return list(self._watchers)

    def stopping(self) -> bool:
        """Whether to give up: cancelled, unwatched for the grace period, or at it for too long."""
        now, most = time.monotonic(), self._most_seconds
        if 0 <= self._grace < now - self._watched:
            self._stop(
                f"Nobody watched this {self.request.called} for {self._grace:.0f} s, so it was stopped. Run "
                "it again to go on from where it stood."
            )
        if most is not None and now - self._began > most:
            self._stop(
                f"This {self.request.called} has taken {most:g} s, the most that one job may take here. "
                f"{OWN_MACHINE}"
            )
        return self._cancelled.is_set()

    def _stop(self, reason: str) -> None:
        self._change(state="cancelled", error=reason)
        self._cancelled.set()

    def run(self) -> None:
        """Do the whole work; called by a worker thread, which reports what this raises to `fail`."""
        self.idle.clear()
        try:
            self._began = time.monotonic()
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
        # What the libraries say may hold paths and prompts.
        words = "" if policy().hosted else " ".join(str(error).split())
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
