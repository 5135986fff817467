"""A sweep over all sources in pieces, each stored as it is finished and never computed again.

The order of the edges, and with it the composition of the pieces, comes from the estimate. The
estimate is therefore stored first, and the key of every piece names the order that it was cut by.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np
import torch

from analysis.answers import result_key
from analysis.answers.compute import runs_of
from analysis.errors import Cancelled
from analysis.experiment import Origin
from analysis.jobs.job import Job
from analysis.patching import Patching, most_promising_first
from analysis.results import AllSourcesRequest, AllSourcesResult
from analysis.settings import settings
from analysis.store import Store, computed_once, open_store
from analysis.sweep import Piece, Sweep


def run(job: Job) -> None:
    """Estimate, then measure every path that no former run has measured, and store the result.

    Raises `Cancelled` once the job is stopping, and whatever the analyses raise.
    """
    store, started = open_store(), time.perf_counter()
    job.estimating()
    runs = runs_of(job.request.experiment, store)
    _go_on(job)
    patching = Patching(runs, job.request)
    key = result_key(job.request, store)
    estimate_key = store.key("estimate", result=key)
    estimate = computed_once(store, estimate_key, lambda: ({"estimate": patching.estimate()}, {}))
    _go_on(job)
    order = most_promising_first(estimate.arrays["estimate"])
    sweep = patching.sweep(order=order)
    ledger = Ledger.of(store, key, sweep, order)
    origin = Origin(runs, started)
    partial = _resumed(job.request, ledger, patching, sweep, estimate.arrays["estimate"], origin)
    shares = sweep.shares()
    job.running(partial, ledger.told(), float(np.delete(shares, list(ledger.finished)).sum()))
    values = partial.values.copy()
    piece_started = time.perf_counter()
    for piece in patching.pieces(sweep, skip=ledger.finished, stop=job.stopping):
        note = ledger.write(piece, time.perf_counter() - piece_started)
        piece_started = time.perf_counter()
        values[tuple(piece.edges.T)] = piece.values
        job.filled(piece.edges, piece.values, note, float(shares[piece.index]))
    provenance = patching.provenance(origin, sweep)
    provenance = replace(provenance, seconds=provenance.seconds + ledger.seconds_before)
    result = replace(partial, values=values, provenance=provenance)
    note = store.put(key, *result.parts())
    if note is None:
        ledger.clear()
        store.delete(estimate_key)
    job.done(result, note)


def _go_on(job: Job) -> None:
    if job.stopping():
        raise Cancelled("The sweep was stopped before it began.")


def _resumed(
    request: AllSourcesRequest,
    ledger: Ledger,
    patching: Patching,
    sweep: Sweep,
    estimate: np.ndarray,
    origin: Origin,
) -> AllSourcesResult:
    """The estimate, with the cells filled in that a former run had finished."""
    values = np.full(patching.shape, np.nan)
    for edges, measured in ledger.read():
        values[tuple(edges.T)] = measured
    return AllSourcesResult(
        request=request,
        values=values,
        estimate=np.array(estimate),
        provenance=patching.provenance(origin, sweep),
        **patching.ends(sweep),
    )


@dataclass
class Ledger:
    """The finished pieces of one sweep in the store, each under its own key.

    A key names everything that decides which edges a piece holds and what is measured for them:
    the result's content, the order, the memory budget, the path and the number of pieces. It also
    names the number of threads, on which the last bits of a matrix product depend.
    """

    store: Store
    keys: tuple[str, ...]
    finished: set[int] = field(default_factory=set)
    #: What the pieces taken over from a former run took to measure.
    seconds_before: float = 0.0

    @classmethod
    def of(cls, store: Store, result: str, sweep: Sweep, order: np.ndarray) -> Ledger:
        """The ledger of `sweep`, with the pieces already in `store` still to be read."""
        cut = {
            "result": result,
            "order": sha256(np.ascontiguousarray(order).tobytes()).hexdigest(),
            "sweep_bytes": settings().sweep_bytes,
            "threads": torch.get_num_threads(),
            "engine": sweep.engine,
            "pieces": sweep.n_pieces,
            "edges": sweep.n_edges,
        }
        keys = tuple(store.key("piece", **cut, index=index) for index in range(sweep.n_pieces))
        return cls(store, keys)

    def read(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Edges and values of every stored piece, which counts as finished from here on."""
        for index, key in enumerate(self.keys):
            entry = self.store.get(key)
            if entry is not None:
                self.finished.add(index)
                self.seconds_before += entry.values["seconds"]
                yield entry.arrays["edges"], entry.arrays["values"]

    def write(self, piece: Piece, seconds: float) -> str | None:
        """Store a finished piece; a sentence if that was not possible."""
        arrays = {"edges": piece.edges, "values": piece.values}
        return self.store.put(self.keys[piece.index], arrays, {"seconds": seconds})

    def told(self) -> str | None:
        """What was taken over from a former run, in a sentence."""
        if not self.finished:
            return None
        return (
            f"{len(self.finished)} of {len(self.keys)} parts were measured before and are not measured again."
        )

    def clear(self) -> None:
        """Drop the pieces, once the whole result is stored."""
        for key in self.keys:
            self.store.delete(key)
