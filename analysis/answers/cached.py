"""The memoized entry points that pages call: look a result up, or have it computed once.

Importing this module, and `stored`, load neither torch nor transformer_lens: a stored result is
shown before any model is loaded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, overload

from analysis.errors import ModelError
from analysis.experiment import request_content
from analysis.requests import (
    AllSourcesRequest,
    AttributionRequest,
    OverviewRequest,
    PathRequest,
    Request,
    SanityRequest,
)
from analysis.results import (
    AllSourcesResult,
    AttributionResult,
    OverviewResult,
    PathResult,
    Result,
    SanityResult,
)
from analysis.store import Memo, Store, computed_once, open_store, recall

# Read when torch is loaded. Sessions and sweeps share the cores; a thread that spins while it waits
# for its siblings takes the core that they need, and small models then run ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

R = TypeVar("R", bound=Result, covariant=True)

_RESULTS: dict[type, type[Result]] = {
    OverviewRequest: OverviewResult,
    AttributionRequest: AttributionResult,
    PathRequest: PathResult,
    AllSourcesRequest: AllSourcesResult,
    SanityRequest: SanityResult,
}


@dataclass(frozen=True, eq=False)
class Answer(Generic[R]):
    """A result, whether it came from the store, and a sentence if it could not be stored."""

    result: R
    from_store: bool
    note: str | None = None


def result_key(request: Request, store: Store, *, download: bool = True) -> str:
    """The key of the result of `request`, made from content alone. Raises `ModelError`."""
    return store.key("result", **request_content(request, download=download))


@overload
def stored(request: OverviewRequest) -> Answer[OverviewResult] | None: ...
@overload
def stored(request: AttributionRequest) -> Answer[AttributionResult] | None: ...
@overload
def stored(request: PathRequest) -> Answer[PathResult] | None: ...
@overload
def stored(request: AllSourcesRequest) -> Answer[AllSourcesResult] | None: ...
@overload
def stored(request: SanityRequest) -> Answer[SanityResult] | None: ...
def stored(request: Request) -> Answer[Result] | None:
    """The stored result of `request`, None if there is none; computes nothing.

    A single source is also read from a stored sweep over all sources. A model that is not on
    this machine, or is broken, has no stored results either.
    """
    store = open_store()
    try:
        key = result_key(request, store, download=False)
        found = recall(store, key)
        if found is None and isinstance(request, PathRequest):
            return _row_of_a_sweep(request, store)
    except ModelError:
        return None
    return None if found is None else _answer(request, found)


@overload
def answer(request: OverviewRequest) -> Answer[OverviewResult]: ...
@overload
def answer(request: AttributionRequest) -> Answer[AttributionResult]: ...
@overload
def answer(request: PathRequest) -> Answer[PathResult]: ...
@overload
def answer(request: SanityRequest) -> Answer[SanityResult]: ...
def answer(request: Request) -> Answer[Result]:
    """The result of `request`: looked up, else computed once and stored.

    Everyone who asks for the same meanwhile waits for the one computation. Sweeps over all
    sources are the business of `analysis.jobs`. Raises `PathscopeError` with a sentence for
    whatever is wrong with the request.
    """
    found = stored(request)
    if found is not None:
        return found
    store = open_store()

    def compute() -> tuple[dict, dict]:
        from analysis.answers.compute import compute

        return compute(request, store).parts()

    return _answer(request, computed_once(store, result_key(request, store), compute))


def remember(result: Result) -> str | None:
    """Store `result`; a sentence if that was not possible."""
    store = open_store()
    return store.put(result_key(result.request, store), *result.parts())


def _answer(request: Request, memo: Memo) -> Answer[Result]:
    """`memo` as the answer to `request`, which may name the same model in another way."""
    result = _RESULTS[type(request)].from_parts(dict(memo.arrays), memo.values)
    return Answer(replace(result, request=request), memo.from_store, memo.note)


def _row_of_a_sweep(request: PathRequest, store: Store) -> Answer[PathResult] | None:
    every = AllSourcesRequest(request.experiment, request.component, request.layer_norm, request.metric)
    found = recall(store, result_key(every, store, download=False))
    if found is None:
        return None
    sweep = AllSourcesResult.from_parts(dict(found.arrays), found.values)
    n_layers, n_heads = sweep.values.shape[:2]
    if not (0 <= request.source_layer < n_layers and 0 <= request.source_head < n_heads):
        return None
    row = sweep.single_source(request.source_layer, request.source_head)
    return Answer(replace(row, request=request), from_store=True)
