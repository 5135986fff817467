"""Memory: what there still is, and what was freed given back to the system."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

_STATM = Path("/proc/self/statm")
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes(limit: int | None = None) -> int | None:
    """Bytes that this process may still take: what it does not hold of `limit`, else what the machine has
    free, or the container if that is less. None where the system does not say.
    """
    if limit is not None:
        return limit - _held()
    known = [free for free in (_of_the_machine(), _of_the_container()) if free is not None]
    return min(known, default=None)


def mebibytes(size: int) -> str:
    """`size` in bytes as a sentence tells it; nothing below 0."""
    return f"{max(size, 0) / 2**20:,.0f} MiB"


def _held() -> int:
    """Bytes that this process holds; 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _of_the_machine() -> int | None:
    """What Linux counts as available; elsewhere all memory, where that is known."""
    try:
        lines = dict(line.split(":") for line in _MEMINFO.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, LookupError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _of_the_container() -> int | None:
    """What the control group may still take, pages of files that it can drop counted as free."""
    try:
        most = int((_CGROUP / "memory.max").read_text())
        held = int((_CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return most - held + int(stat["inactive_file"])
    except (OSError, LookupError, ValueError):  # no such group, or "max"
        return None


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
