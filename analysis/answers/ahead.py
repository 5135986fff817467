"""Many questions at once, where a cluster has room for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from typing import Any

from analysis.answers.executors import cluster_is_named
from analysis.answers.lookup import answer, stored
from analysis.errors import AnswerError, MetricError, PromptError, UnsupportedModelError
from analysis.requests import Request

#: Questions that are out at a time: a thread waits for each.
_AT_ONCE = 64


def ahead(requests: Iterable[Request[Any]]) -> Iterator[tuple[int, int]]:
    """Have the workers of a cluster answer what is not stored of `requests`, all at the same time.

    Yields how many answers have come, and of how many. Without a cluster nothing is done: this process
    computes each when it is asked for. What is wrong with a single question is told to whoever asks it;
    raises `PathscopeError` for what is wrong with all of them.
    """
    if not cluster_is_named():
        return
    missing = [request for request in requests if stored(request) is None]
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ahead")
    try:
        under_way = [pool.submit(_answered, request) for request in missing]
        for number, done in enumerate(as_completed(under_way), start=1):
            done.result()
            yield number, len(missing)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _answered(request: Request[Any]) -> None:
    with suppress(AnswerError, MetricError, PromptError, UnsupportedModelError):
        answer(request)
