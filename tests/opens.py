"""Which files of a folder are opened, by whatever code: Python's own hooks do not see native code."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OPEN, _NONBLOCK = 0x20, 0o4000
_HEADER = struct.Struct("iIII")


@contextmanager
def opens(*folders: Path) -> Iterator[set[str]]:
    """The names of the files in `folders` that are opened within the context, there when it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(_NONBLOCK)
    assert watch >= 0, os.strerror(ctypes.get_errno())
    opened: set[str] = set()
    try:
        for folder in folders:
            assert libc.inotify_add_watch(watch, os.fsencode(folder), _OPEN) >= 0
        yield opened
        while events := _read(watch):
            while events:
                _, _, _, length = _HEADER.unpack_from(events)
                name = events[_HEADER.size : _HEADER.size + length].rstrip(b"\0")
                events = events[_HEADER.size + length :]
                # The folder itself has no name in its own events.
                opened |= {os.fsdecode(name)} - {""}
    finally:
        os.close(watch)


def _read(watch: int) -> bytes:
    try:
        return os.read(watch, 1 << 16)
    except BlockingIOError:
        return b""
