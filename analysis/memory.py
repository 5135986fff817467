"""Freed memory, given back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Have the C library return the pages that it holds free; does nothing where it cannot (not glibc).

    Loading a model goes through several copies of its weights, a sweep through its budget. glibc keeps
    what was freed below a block that is still in use, in an arena for every few threads, and a server
    that rests would hold as much as it ever needed. It takes milliseconds, so it is for the end of work.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's ``malloc_trim``; None on another C library."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl and macOS lack it, Windows takes no None
        return None
    return trim
