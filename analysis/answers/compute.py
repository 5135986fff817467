"""From a request to its result: model, prompts, runs, and then what the request's kind names.

Nothing is looked up or stored here but the two runs; `analysis.answers` and `analysis.jobs` do that
for results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pkgutil import resolve_name
from typing import Any, TypeVar

import torch

from analysis.errors import PathscopeError
from analysis.experiment import (
    DraftOrigin,
    Origin,
    Runs,
    finished,
    pairs_at_once,
    run_drafts,
    run_experiment,
)
from analysis.memory import give_back
from analysis.policy import policy
from analysis.requests import Experiment, kinds
from analysis.results import GrowingResult, LongRequest, LongWork, Request, Result
from analysis.store import Store

R = TypeVar("R", bound=Result)
G = TypeVar("G", bound=GrowingResult)


def compute(request: Request[R], store: Store) -> R:
    """The result of `request`, with the runs of its experiment taken from or left in `store`.

    Raises `PathscopeError` with a sentence for whatever is wrong with the request.
    """
    started = time.perf_counter()
    try:
        if request.of_a_draft:
            drafts = run_drafts(request.experiment, store, _activations_read)
            of_drafts: R = resolve_name(request.computed_by)(request, DraftOrigin(drafts, started))
            return of_drafts
        origin = origin_of(request, store, started)
        if isinstance(request, LongRequest):
            return _in_one_go(work_of(request, origin), origin)
        result: R = resolve_name(request.computed_by)(request, origin)
        return result
    finally:
        give_back()


def compute_together(requests: Sequence[Request[R]], store: Store) -> Iterator[list[R]]:
    """The results of `requests`, batch by batch of pairs of one length in tokens, as many as memory allows.

    They are of one kind and one model, and differ in their experiments alone. Left out is what cannot be
    computed, or not together: asked for by itself it has a result, or says why it has none.
    """
    started = time.perf_counter()
    by_length: dict[int, list[tuple[Request[R], Origin]]] = {}
    for request in requests:
        with suppress(PathscopeError):
            origin = origin_of(request, store, started)
            by_length.setdefault(origin.runs.pair.clean.shape[1], []).append((request, origin))
    for length, every in by_length.items():
        at_once = pairs_at_once(every[0][1].runs.model.bridge.cfg, length)
        for first in range(0, len(every), at_once):
            chosen = every[first : first + at_once]
            with suppress(PathscopeError):
                if len(chosen) > 1:
                    asked, origins = zip(*chosen, strict=True)
                    yield resolve_name(requests[0].computed_together)(asked, origins)
            give_back()


def long_work(request: LongRequest[G], store: Store, stop: Callable[[], bool] | None = None) -> LongWork[G]:
    """What `request` has to have done, to be cut into pieces, which then are computed here.

    Raises as `compute` does.
    """
    return work_of(request, origin_of(request, store, time.perf_counter()))


def threads() -> int:
    """How many threads a piece is computed by, on which the last bits of a matrix product depend."""
    return torch.get_num_threads()


def told(work: LongWork[Any]) -> str | None:
    """What is to be said of who does the `work`: nothing."""
    return None


def origin_of(request: Request[Any], store: Store, started: float) -> Origin:
    """The model and both runs of `request`, whose work began at `started`.

    Raises `PathscopeError` with a sentence for whatever is wrong with the request, and where the policy
    does not allow so much work.
    """
    runs = runs_of(request.experiment, store)
    cfg = runs.model.bridge.cfg
    policy().check_edges(request.measured_paths(cfg.n_layers, cfg.n_heads, runs.pair.clean.shape[1]))
    return Origin(runs, started)


def work_of(request: LongRequest[G], origin: Origin) -> LongWork[G]:
    """What `request` has to have done, to be cut into pieces."""
    work: LongWork[G] = resolve_name(request.computed_by)(request, origin)
    return work


def _in_one_go(work: LongWork[G], origin: Origin) -> G:
    pieces = work.cut(work.prepared())
    done = (arrays for _, arrays in pieces.run({}))
    return finished(pieces.start.filled(done), origin.started)


def runs_of(experiment: Experiment, store: Store) -> Runs:
    """Both runs of `experiment`, with what any kind of question reads of them.

    All kinds share one pair of runs, so that a second question about an experiment runs no model.
    """
    return run_experiment(experiment, store, _activations_read)


def _activations_read(bridge: Any) -> set[str]:
    reading = {name for kind in kinds() for name in kind.reads}
    return set().union(*(resolve_name(name)(bridge) for name in reading))
