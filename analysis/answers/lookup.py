"""What pages call: look a result up in the store, or have it computed once and stored.

Importing this module, and `stored`, load neither torch nor transformer_lens: a stored result is
shown before any model is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from analysis.answers.executors import cluster_is_named, executor
from analysis.answers.places import computing
from analysis.answers.visits import count_result
from analysis.errors import ModelError
from analysis.experiment import request_content
from analysis.results import (
    Request,
    Result,
)
from analysis.store import Memo, Store, computed_once, open_store, recall

# Read when torch is loaded. Sessions and sweeps share the cores; a thread that spins while it waits
# for its siblings takes the core that they need, and small models then run ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# MKL otherwise keeps the buffers of every thread that ever multiplied, some twenty megabytes.
os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")
# Products that oneDNN keeps prepared, by their shapes: of its 1,024 a real model's take a hundred megabytes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

#: Of fewer pairs each is computed by itself.
_WORTH_A_BATCH = 2

R = TypeVar("R", bound=Result)
R_co = TypeVar("R_co", bound=Result, covariant=True)


@dataclass(frozen=True, eq=False)
class Answer(Generic[R_co]):
    """A result, whether it came from the store, and a sentence if it could not be stored."""

    result: R_co
    from_store: bool
    note: str | None = None


def result_key(request: Request[Any], store: Store, *, download: bool = True) -> str:
    """The key of the result of `request`, made from content alone. Raises `ModelError`."""
    return store.key("result", **request_content(request, download=download))


def stored(request: Request[R]) -> Answer[R] | None:
    """The stored result of `request`, None if there is none; computes nothing.

    It is also taken out of the stored result of another question that holds it. A model that is
    not on this machine, or is broken, has no stored results either.
    """
    try:
        return _found(request, open_store())
    except ModelError:
        return None


def _found(request: Request[R], store: Store) -> Answer[R] | None:
    memo = recall(store, result_key(request, store, download=False))
    if memo is not None:
        return _answer(request, memo)
    for other, taken_out in request.found_in():
        holding = _found(other, store)
        result = None if holding is None else taken_out(holding.result)
        if result is not None:
            return Answer(replace(result, request=request), from_store=True)
    return None


def answer(request: Request[R]) -> Answer[R]:
    """The result of `request`: looked up, else computed once and stored.

    Everyone who asks for the same meanwhile waits for the one computation. Long work is done in one
    go here; in the background, and in pieces that are kept, it is the business of `analysis.jobs`.
    Raises `PathscopeError` with a sentence for whatever is wrong with the request.
    """
    found = stored(request)
    if found is not None:
        return found
    count_result()
    store = open_store()

    def compute() -> tuple[dict, dict]:
        return executor().compute(request, store).parts()

    with computing():
        return _answer(request, computed_once(store, result_key(request, store), compute))


def answer_together(requests: Sequence[Request[R]]) -> None:
    """Have those of `requests` that are not stored computed together, and each stored by itself.

    They are of one kind and one model, and differ in their experiments alone. What cannot be computed
    together stays to be asked for by itself, as does all of a kind that knows no `computed_together`, and
    whatever the workers of a cluster compute. Raises `PathscopeError` where a visit may have no more results.
    """
    missing = [request for request in requests if stored(request) is None]
    if len(missing) < _WORTH_A_BATCH or not missing[0].computed_together or cluster_is_named():
        return
    from analysis.answers.compute import compute_together

    for _ in missing:
        count_result()
    with computing():
        for results in compute_together(missing, open_store()):
            for result in results:
                remember(result)


def remember(result: Result) -> str | None:
    """Store `result`; a sentence if that was not possible."""
    store = open_store()
    return store.put(result_key(result.request, store), *result.parts())


def _answer(request: Request[R], memo: Memo) -> Answer[R]:
    """`memo` as the answer to `request`, which may name the same model in another way."""
    result = request.result_type().from_parts(request, memo.arrays, memo.values)
    return Answer(result, memo.from_store, memo.note)
