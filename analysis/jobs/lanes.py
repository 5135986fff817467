"""Whose job is next: places go round between visitors, and each visitor's own jobs keep their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

#: Whoever a job is for: a session; None where visitors are not told apart.
Visitor = str | None


def in_turn(waiting: Iterable[tuple[Visitor, T]], served: Mapping[Visitor, int]) -> list[T]:
    """What is `waiting`, longest first, in the order in which it is to begin.

    `served` tells when each visitor's last job began, by a number that grows. Whoever was served longest ago,
    or never, is next.

    >>> in_turn([("a", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 5)], {"a": 7})
    [3, 1, 5, 2, 4]
    """
    lanes: dict[Visitor, deque[T]] = {}
    for visitor, job in waiting:
        lanes.setdefault(visitor, deque()).append(job)
    last = {visitor: served.get(visitor, -1) for visitor in lanes}
    latest = max(last.values(), default=0)
    order = []
    while lanes:
        visitor = min(lanes, key=last.__getitem__)
        order.append(lanes[visitor].popleft())
        latest += 1
        last[visitor] = latest
        if not lanes[visitor]:
            del lanes[visitor]
    return order
