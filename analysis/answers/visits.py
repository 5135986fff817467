"""How many results each visit has had computed, where the policy bounds that."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from analysis.errors import PathscopeError
from analysis.policy import OWN_MACHINE, policy

#: Visits of which it is remembered what they have had; of more, the one that has been quiet longest is new.
MOST_VISITS = 10_000

_visitor: ContextVar[str | None] = ContextVar("visitor", default=None)
_guard = threading.Lock()
_computed: OrderedDict[str, int] = OrderedDict()


@contextmanager
def on_behalf_of(visitor: str | None) -> Iterator[None]:
    """Count what this thread has computed in the block as had by `visitor`; None is not counted."""
    before = _visitor.set(visitor)
    try:
        yield
    finally:
        _visitor.reset(before)


def count_result(visitor: str | None = None) -> None:
    """Say that a result is about to be computed for `visitor`, or on whose behalf this thread asks.

    Raises `PathscopeError` where a visit may have no more.
    """
    visitor, most = visitor or _visitor.get(), policy().results
    if visitor is None or most is None:
        return
    with _guard:
        had = _computed.get(visitor, 0)
        if had >= most:
            raise PathscopeError(
                f"This visit has had {had} results computed, the most that one visit may have here. What is "
                f"stored is shown all the same. {OWN_MACHINE}"
            )
        _computed[visitor] = had + 1
        _computed.move_to_end(visitor)
        while len(_computed) > MOST_VISITS:
            _computed.popitem(last=False)
