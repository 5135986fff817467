"""Long work in steps: each piece is stored as it is finished and never computed again.

What the work is cut by is stored before the first piece, and the key of every piece names all that
decides its content; so a run that goes on takes over what belongs to the very same cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from analysis.answers import executor, piece_keys, result_key
from analysis.errors import Cancelled
from analysis.experiment import finished
from analysis.jobs.job import Step
from analysis.results import Arrays, GrowingResult, LongRequest
from analysis.store import Store, computed_once, open_store

G = TypeVar("G", bound=GrowingResult)


def steps(request: LongRequest[G], stop: Callable[[], bool]) -> Iterator[Step[G]]:
    """Do what no former run has done of `request`, and store the result.

    The first step is the result before this run's first piece, the last one is the whole. Raises
    `Cancelled` once `stop()` is true, and whatever the analyses raise.
    """
    store, started, by = open_store(), time.perf_counter(), executor()
    work = by.long_work(request, store, stop)
    _go_on(request, stop)
    key = result_key(request, store)
    prepared_key = store.key("prepared", result=key)
    prepared = computed_once(store, prepared_key, lambda: (work.prepared(), {}))
    _go_on(request, stop)
    pieces = work.cut(prepared.arrays)
    ledger = Ledger(store, piece_keys(store, key, pieces, by.threads()))
    before = ledger.read()
    result = pieces.start.filled(before.values())
    shares = pieces.shares
    left = float(np.delete(shares, list(before)).sum())
    yield Step(result, left, " ".join(filter(None, (ledger.told(), by.told(work)))) or None)
    piece_started = time.perf_counter()
    for index, arrays in pieces.run(before, stop):
        note = ledger.write(index, arrays, time.perf_counter() - piece_started)
        piece_started = time.perf_counter()
        result = result.filled([arrays])
        left -= float(shares[index])
        yield Step(result, left, note, stored=note is None)
    result = finished(result, started, ledger.seconds_before)
    note = store.put(key, *result.parts())
    if note is None:
        ledger.clear()
        store.delete(prepared_key)
    yield Step(result, 0.0, note, whole=True)


def _go_on(request: LongRequest[G], stop: Callable[[], bool]) -> None:
    if stop():
        raise Cancelled(f"The {request.called} was stopped before it began.")


@dataclass
class Ledger:
    """The finished pieces of one request's work in the store, each under its own key (`piece_keys`)."""

    store: Store
    keys: tuple[str, ...]
    #: How many pieces were taken over from a former run.
    taken_over: int = 0
    #: What the pieces taken over from a former run took to compute.
    seconds_before: float = 0.0

    def read(self) -> dict[int, Arrays]:
        """What every stored piece holds, by its index; they are taken over."""
        entries = {index: self.store.get(key) for index, key in enumerate(self.keys)}
        found = {index: entry for index, entry in entries.items() if entry is not None}
        self.taken_over = len(found)
        self.seconds_before = sum(entry.values["seconds"] for entry in found.values())
        return {index: entry.arrays for index, entry in found.items()}

    def write(self, index: int, arrays: Arrays, seconds: float) -> str | None:
        """Store a finished piece; a sentence if that was not possible."""
        return self.store.put(self.keys[index], arrays, {"seconds": seconds})

    def told(self) -> str | None:
        """What was taken over from a former run, in a sentence."""
        if not self.taken_over:
            return None
        return f"{self.taken_over} of {len(self.keys)} parts were measured before and are not measured again."

    def clear(self) -> None:
        """Drop the pieces, once the whole result is stored."""
        for key in self.keys:
            self.store.delete(key)
