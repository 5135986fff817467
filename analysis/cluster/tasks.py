"""Tasks given to the workers that fit, a few ahead of what they are at; what they bring as it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.cluster.crew import Crew
from analysis.cluster.letters import Arrays, Words, opened
from analysis.errors import Cancelled, PathscopeError

if TYPE_CHECKING:
    from distributed import Future

#: Tasks that wait for each one that is being done: enough that no worker waits for this process.
_AHEAD = 2
#: Seconds after which it is asked again whether to stop.
_LOOK_SECONDS = 0.1
#: Seconds that fetching what a worker holds may take before it is looked for again.
_FETCH_SECONDS = 60.0


@dataclass(frozen=True)
class Task:
    """A call with plain bytes, or with what another task brings; the same `key` is the same call."""

    key: str
    arguments: tuple[Any, ...]
    priority: int = 0


@dataclass(eq=False)
class _Flight:
    """A task under way, for the first time or `again`, with the workers that may do it."""

    task: Task
    future: Future
    workers: frozenset[str]
    again: int


def done_by(
    crew: Crew, function: Callable[..., bytes], tasks: Iterable[Task], stop: Callable[[], bool]
) -> Iterator[tuple[Task, Words, Arrays]]:
    """Each task with what `function` brought, in the order in which they are done.

    A task whose worker is lost is done by another. Raises `Cancelled` once `stop()` is true, the
    `PathscopeError` that a worker brings, and one where the scheduler is lost or nobody fits.
    """
    yield from _Window(crew, function).run(iter(tasks), stop)


class _Window:
    """The tasks that are under way."""

    def __init__(self, crew: Crew, function: Callable[..., bytes]) -> None:
        self._crew, self._function = crew, function
        self._flying: list[_Flight] = []
        self._landed = threading.Event()

    def run(self, tasks: Iterator[Task], stop: Callable[[], bool]) -> Iterator[tuple[Task, Words, Arrays]]:
        """What `done_by` gives."""
        try:
            left: Task | None = next(tasks, None)
            while left is not None or self._flying:
                if stop():
                    raise Cancelled("The work was stopped; what had come back from the cluster is kept.")
                self._crew.look()
                self._landed.clear()
                while left is not None and len(self._flying) < _AHEAD * self._crew.at_once():
                    self._flying.append(self._submitted(left))
                    left = next(tasks, None)
                landed = [flight for flight in self._flying if flight.future.done()]
                for flight in landed:
                    brought = self._brought(flight)
                    if brought is not None:
                        yield flight.task, *brought
                if not landed:
                    self._redirect()
                    self._landed.wait(_LOOK_SECONDS)
        finally:
            for flight in reversed(self._flying):
                _let_go(flight.future)

    def _submitted(self, task: Task, again: int = 0) -> _Flight:
        workers = frozenset(self._crew.fit)
        future = self._crew.connection.submit(
            self._function,
            *task.arguments,
            # Another key, because the scheduler keeps to whom it has once given the first.
            key=f"{task.key}-again-{again}" if again else task.key,
            workers=sorted(workers),
            resources=dict(self._crew.resources),
            priority=task.priority,
        )
        future.add_done_callback(lambda _: self._landed.set())
        return _Flight(task, future, workers, again)

    def _brought(self, flight: _Flight) -> tuple[Words, Arrays] | None:
        """What the flight brings, which then is over; None where it has to fly again."""
        future = flight.future
        if future.status == "error":
            raise _failed(future)
        if future.status != "finished":
            raise self._crew.connection.gone()
        try:
            brought = future.result(timeout=_FETCH_SECONDS)
        except TimeoutError:
            return None
        except Exception as error:
            raise self._crew.connection.gone() from error
        try:
            words, arrays = opened(brought)
        except Cancelled:
            # Somebody else had it stopped just when this process asked for the same.
            self._ask_again(flight)
            return None
        _let_go(future)
        self._flying.remove(flight)
        return words, arrays

    def _redirect(self) -> None:
        """Give to others what was given to workers of whom none is left."""
        for flight in [*self._flying]:
            if self._crew.fit and flight.workers.isdisjoint(self._crew.fit):
                self._ask_again(flight)

    def _ask_again(self, flight: _Flight) -> None:
        _let_go(flight.future)
        self._flying.remove(flight)
        self._flying.append(self._submitted(flight.task, flight.again + 1))


def _let_go(future: Future) -> None:
    """Tell the scheduler that this process needs the task no more; others who asked for it keep it.

    Dask's own `cancel` would tell every client that the key is cancelled, whoever has asked for it since.
    """
    future.release()


def _failed(future: Future) -> PathscopeError:
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        return PathscopeError(
            "A part of the work ended every worker that it was given to, most likely for want of memory. "
            "Lower PATHSCOPE_SWEEP_BYTES, or start workers with more memory or fewer threads."
        )
    return PathscopeError(f"A worker failed: {type(error).__name__}, {' '.join(str(error).split())}.")
