"""Long work in the background: one run per request, progress, cancel, resume.

The workers belong to the process, not to a browser session: a page submits a request, polls the
job's snapshot, and may leave. Whoever asks for the same meanwhile attaches to the running job.
Importing this module loads neither torch nor transformer_lens; a worker does.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.pool import ThreadPool
from typing import Any, TypeVar

from analysis.answers import count_result, result_key, stored
from analysis.errors import PathscopeError
from analysis.jobs.job import Job, Step
from analysis.jobs.lanes import Visitor, in_turn
from analysis.jobs.line import Line
from analysis.policy import policy
from analysis.results import GrowingResult, LongRequest
from analysis.settings import settings
from analysis.store import open_store

G = TypeVar("G", bound=GrowingResult)

#: Jobs that are remembered after their end, so that a page still finds out how they ended.
_REMEMBERED = 8
#: Visitors of whom it is remembered when they were served.
MOST_VISITORS = 1000
#: Seconds that the interpreter's exit waits for running jobs to stop.
_EXIT_SECONDS = 2.0


def submit(request: LongRequest[G], visitor: Visitor = None) -> Job[G]:
    """A job for `request`: the one that is running or waiting, a finished one, or a new one of `visitor`.

    A stored result gives a job that is done. Raises `PathscopeError` where the queue is full, where the
    visitor has as many jobs as the policy allows, or the model cannot be found.
    """
    key = result_key(request, open_store())
    found = stored(request)
    new = Job(request, _steps, visitor) if found is None else Job.already_done(request, found)
    return _board.submit(key, new, visitor)


def find(request: LongRequest[G]) -> Job[G] | None:
    """The job of this process for `request`, running, waiting or ended; None if there is none."""
    try:
        return _board.find(result_key(request, open_store(), download=False))
    except PathscopeError:
        return None


def stop_all() -> None:
    """Stop every job of this process, and wait a little for those that run."""
    _board.stop_all()


class _Board:
    """All jobs of this process by the key of their result, and the workers that run them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job[Any]] = OrderedDict()
        self._running: list[Job[Any]] = []
        self._served: OrderedDict[Visitor, int] = OrderedDict()
        self._line = Line()
        self._pool: ThreadPool | None = None

    def find(self, key: str) -> Job[Any] | None:
        with self._lock:
            return self._jobs.get(key)

    def submit(self, key: str, new: Job[G], visitor: Visitor) -> Job[G]:
        with self._lock:
            known = self._jobs.get(key)
            if known is not None and not known.finished:
                known.watch(visitor)
                return known
            if not new.finished:
                self._line.check(visitor, self._waiting(), self._running)
                count_result(visitor)
                new.place_in_queue = partial(self._place, new)
            self._jobs[key] = new
            self._jobs.move_to_end(key)
            self._forget()
            if not new.finished:
                self._workers().apply_async(self._work)
            return new

    def _workers(self) -> ThreadPool:
        if self._pool is None:
            self._pool = ThreadPool(settings().workers, initializer=_yield_to_pages)
        return self._pool

    def _work(self) -> None:
        """Run jobs until there is none that may begin."""
        while (job := self._next()) is not None:
            began = time.monotonic()
            try:
                job.run()
            except Exception as error:
                job.fail(error)
            finally:
                with self._lock:
                    self._running.remove(job)
                    self._line.took(time.monotonic() - began)

    def _next(self) -> Job[Any] | None:
        """The job that is to begin now; visitors who have as many running as they may are passed over."""
        with self._lock:
            most, owners = policy().running, [job.owner for job in self._running]
            for job in self._in_turn():
                if most is None or owners.count(job.owner) < most:
                    self._running.append(job)
                    self._served[job.owner] = 1 + max(self._served.values(), default=0)
                    return job
        return None

    def _in_turn(self) -> list[Job[Any]]:
        return in_turn(((job.owner, job) for job in self._waiting()), self._served)

    def _waiting(self) -> list[Job[Any]]:
        """Jobs that have not begun, and that somebody still waits for."""
        queued = (job for job in self._jobs.values() if job.state == "queued" and job not in self._running)
        return [job for job in queued if not job.stopping()]

    def _place(self, job: Job[Any]) -> int:
        with self._lock:
            waiting = self._in_turn()
        return waiting.index(job) if job in waiting else 0

    def _forget(self) -> None:
        ended = [key for key, job in self._jobs.items() if job.finished]
        for key in ended[:-_REMEMBERED]:
            del self._jobs[key]
        while len(self._served) > MOST_VISITORS:
            self._served.popitem(last=False)

    def stop_all(self) -> None:
        """Stop what is running, so that the interpreter does not end under a worker's feet."""
        with self._lock:
            jobs = [job for job in self._jobs.values() if not job.finished]
        for job in jobs:
            job.cancel()
        deadline = time.monotonic() + _EXIT_SECONDS
        for job in jobs:
            job.idle.wait(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Take no more jobs, and let the workers go."""
        if self._pool is not None:
            self._pool.terminate()


def _steps(request: LongRequest[G], stop: Callable[[], bool]) -> Iterator[Step[G]]:
    """The work of a request; what it needs is imported by the worker that does it."""
    from analysis.jobs import resume

    yield from resume.steps(request, stop)


def _yield_to_pages() -> None:
    """Give this worker's thread, and those it starts, a lower priority than the pages' threads."""
    if hasattr(os, "setpriority"):
        # On Linux priorities are per thread; elsewhere an unknown id is refused, and all stay equal.
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        except OSError:
            return


_board = _Board()
atexit.register(stop_all)
