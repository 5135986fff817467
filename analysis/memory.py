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
#: ``mallopt``'s name for the most arenas (glibc's malloc.h), and how many of them serve Pathscope.
_M_ARENA_MAX, _ARENAS = -8, 2


def free_bytes(limit: int | None = None) -> int | None:
    """Bytes that this process may still take: what it does not hold of `limit`, else what the machine has
    free, or the container if that is less. None where the system does not say.

    What it holds is memory of its own: of the files that it maps, such as the libraries' code, a system
    short of memory drops the pages, and no process is ended for them.
    """
    if limit is not None:
        return limit - _held()
    known = [free for free in (_of_the_machine(), _of_the_container()) if free is not None]
    return min(known, default=None)


def mebibytes(size: int) -> str:
    """`size` in bytes as a sentence tells it; nothing below 0."""
    return f"{max(size, 0) / 2**20:,.0f} MiB"


def _held() -> int:
    """Bytes of memory that are this process's own; 0 where the system does not say."""
    try:
        _, resident, of_files, *_ = map(int, _STATM.read_text().split())
        return (resident - of_files) * os.sysconf("SC_PAGE_SIZE")
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
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def share_arenas() -> None:
    """Have the threads to come share few arenas; does nothing where the C library has none (not glibc).

    Its default is eight for each core. Each keeps what its threads have freed, some 10 MB after a few pages.
    """
    set_option = _of_glibc("mallopt")
    if set_option is not None:
        set_option(_M_ARENA_MAX, _ARENAS)


@cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function on integers of glibc; None on another C library."""
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # musl and macOS lack it, Windows takes no None
        return None
    return function
