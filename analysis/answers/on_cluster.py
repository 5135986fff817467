"""Results and pieces computed by the workers of a Dask cluster; the model is never loaded here.

A worker that is asked for the first time loads the model from its own disk. The keys of tasks are those of
the store, so that whoever asks for the same meanwhile, here or elsewhere, waits for the one run of it. Only
the process that asked writes into its store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Float

from analysis.answers.executors import device_of, piece_keys
from analysis.answers.lookup import result_key
from analysis.answers.on_worker import FINGERPRINT_DIGITS, facts, perform, round_name
from analysis.cluster import Arrays, Crew, Task, Wanted, Words, connected, done_by, sealed
from analysis.experiment import model_content, versions
from analysis.requests import request_to_json
from analysis.results import GrowingResult, LongRequest, LongWork, Request, Result
from analysis.settings import settings
from analysis.store import Store, open_store

R = TypeVar("R", bound=Result)
G = TypeVar("G", bound=GrowingResult)

#: Questions that somebody waits for before a page come before the pieces of long work.
_AT_ONCE = 1
_PREFIX = "pathscope-"


def compute(request: Request[R], store: Store) -> R:
    """The result of `request`. Raises `PathscopeError` with a sentence for whatever is wrong with it."""
    there = _There(request, never)
    words, arrays = there.one("result", result_key(request, store))
    return request.result_type().from_parts(request, arrays, words["values"])


def long_work(request: LongRequest[G], store: Store, stop: Callable[[], bool] | None = None) -> LongWork[G]:
    """What `request` has to have done, to be cut into pieces, each of which a worker computes."""
    return ClusterWork(request, store, stop or never)


def threads() -> int:
    """How many threads a worker computes a piece by."""
    return settings().cluster_threads


def told(work: LongWork[Any]) -> str | None:
    """Which workers were refused, and why."""
    return work.there.crew.told() if isinstance(work, ClusterWork) else None


def never() -> bool:
    """Go on."""
    return False


class ClusterWork(Generic[G]):
    """The work of one request as the workers do it, before it is cut into pieces."""

    def __init__(self, request: LongRequest[G], store: Store, stop: Callable[[], bool]) -> None:
        self._request, self._key = request, result_key(request, store)
        self.there = _There(request, stop)

    def prepared(self) -> Arrays:
        """What decides how the work is cut."""
        return self.there.one("prepared", f"prepared {self._key}")[1]

    def cut(self, prepared: Mapping[str, np.ndarray]) -> ClusterPieces[G]:
        """The pieces of the work; the first worker to say how they are cut holds all others to it."""
        letter = sealed({}, prepared)
        words, arrays = self.there.one("cut", f"cut {self._key} {_digest(letter)}", letter)
        start = self._request.result_type().from_parts(self._request, arrays, words["values"])
        return ClusterPieces(self._request, self.there, letter, words, start)


class ClusterPieces(Generic[G]):
    """The pieces of a work, handed out to the workers and taken in as they come."""

    def __init__(
        self, request: LongRequest[G], there: _There, prepared: bytes, words: Words, start: G
    ) -> None:
        self._request, self._there, self._prepared = request, there, prepared
        self.content: dict[str, Any] = words["content"]
        self.shares: Float[np.ndarray, " piece"] = np.array(words["shares"])
        self.start = start
        there.crew.hold_to("device", device_of(self))

    def run(
        self, finished: Mapping[int, Mapping[str, np.ndarray]], stop: Callable[[], bool] | None = None
    ) -> Iterator[tuple[int, Arrays]]:
        """Each piece as it comes, in whatever order. Raises `Cancelled` once `stop()` is true."""
        # What all pieces are cut by goes to the scheduler once, and from worker to worker after that.
        held = self._there.hold(self._prepared)
        store = open_store()
        keys = piece_keys(store, result_key(self._request, store), self, threads())
        stop = stop or never
        if self._request.in_sequence:
            yield from self._in_sequence(finished, keys, held, stop)
            return
        numbers = {keys[index]: index for index in range(len(keys)) if index not in finished}
        tasks = (self._there.task("piece", key, held, **self._piece(index)) for key, index in numbers.items())
        for task, _, arrays in self._there.done(tasks, stop):
            yield numbers[task.key.removeprefix(_PREFIX)], arrays

    def _in_sequence(
        self,
        finished: Mapping[int, Mapping[str, np.ndarray]],
        keys: tuple[str, ...],
        held: Any,
        stop: Callable[[], bool],
    ) -> Iterator[tuple[int, Arrays]]:
        before: dict[str, np.ndarray] = {}
        for index, key in enumerate(keys):
            found = finished.get(index)
            if found is None:
                task = self._there.task("piece", key, held, arrays=before, **self._piece(index))
                ((_, words, arrays),) = self._there.done([task], stop)
                if words.get("over"):
                    return
                yield index, arrays
                found = arrays
            before |= {round_name(index, name): array for name, array in found.items()}

    def _piece(self, index: int) -> dict[str, Any]:
        return {"index": index, "content": self.content, "in_sequence": self._request.in_sequence}


class _There:
    """The cluster as one request sees it: who may take part, and what every letter about it says."""

    def __init__(self, request: Request[Any], stop: Callable[[], bool]) -> None:
        limits, model = settings(), request.experiment.model
        fingerprint = model_content(model)["fingerprint"]
        self._stop = stop
        self._words: Words = {
            "request": request_to_json(request),
            "fingerprint": fingerprint,
            "threads": limits.cluster_threads,
            # What decides how work is cut, and what may be asked, is said by whoever asks.
            "settings": {
                "PATHSCOPE_SWEEP_BYTES": str(int(limits.sweep_bytes)),
                "PATHSCOPE_PROMPT_TOKENS": str(limits.prompt_tokens),
                "PATHSCOPE_PROMPT_BYTES": str(int(limits.prompt_bytes)),
                "PATHSCOPE_CLUSTER": "",
            },
        }
        wanted = versions() | {"weights": fingerprint[:FINGERPRINT_DIGITS]}
        resources = dict(_resource(item) for item in limits.cluster_resources.split(",") if item.strip())
        self._connection = connected(limits.cluster)
        self.crew = Crew(self._connection, Wanted(facts, sealed({"model": model}), wanted, resources))

    def task(
        self, do: str, key: str, *more: Any, arrays: Mapping[str, np.ndarray] | None = None, **words: Any
    ) -> Task:
        """A task under the store's `key`; `more` is what the worker is handed beside the letter."""
        letter = sealed({"do": do, **self._words, **words}, arrays)
        return Task(f"{_PREFIX}{key}", (letter, *more), 0 if do == "piece" else _AT_ONCE)

    def one(self, do: str, key: str, *more: Any) -> tuple[Words, Arrays]:
        """What a worker brings that does this alone."""
        ((_, words, arrays),) = self.done([self.task(do, key, *more)], self._stop)
        return words, arrays

    def done(
        self, tasks: Iterator[Task] | list[Task], stop: Callable[[], bool]
    ) -> Iterator[tuple[Task, Words, Arrays]]:
        """`tasks` as they are done. Raises `PathscopeError` where one cannot be done."""
        yield from done_by(self.crew, perform, tasks, stop)

    def hold(self, letter: bytes) -> Any:
        """`letter` as a task's argument that is sent to the cluster once."""
        return self._connection.submit(bytes, letter, key=f"{_PREFIX}held-{_digest(letter)}")


def _digest(letter: bytes) -> str:
    return blake2b(letter, digest_size=20).hexdigest()


def _resource(item: str) -> tuple[str, float]:
    name, number = item.split("=")
    return name.strip(), float(number)
