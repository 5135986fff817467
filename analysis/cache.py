"""The store: results, activations and finished pieces of sweeps, on disk, by content.

A store never fails its caller: what cannot be read is a miss, and what cannot be written comes
back as a sentence for the page. Several processes may share one directory.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import diskcache
import numpy as np
from filelock import FileLock

from analysis.cache_disk import Entry, RefusedValue, SafetensorsDisk
from analysis.results import SCHEMA_VERSION
from analysis.settings import settings

T = TypeVar("T")

#: What a broken, full, read-only or vanished directory raises, through diskcache and SQLite.
STORE_FAULTS = (OSError, sqlite3.Error, diskcache.Timeout)


class _Cache(diskcache.Cache):
    """diskcache's `Cache` with eviction of one entry at a time."""

    def evict_one(self) -> bool:
        """Delete the least recently used entry; False if there is none."""
        oldest = self._sql("SELECT key FROM Cache WHERE raw ORDER BY access_time LIMIT 1").fetchall()
        return bool(oldest) and self.delete(oldest[0][0])

    def names(self, prefix: str) -> list[str]:
        """All keys that begin with `prefix`, least recently stored first."""
        rows = self._sql(
            "SELECT key FROM Cache WHERE raw AND substr(key, 1, ?) = ? ORDER BY store_time",
            (len(prefix), prefix),
        )
        return [key for (key,) in rows.fetchall()]

    def files(self) -> set[str]:
        """Names of all value files that a row refers to."""
        rows = self._sql("SELECT filename FROM Cache WHERE filename IS NOT NULL")
        return {name for (name,) in rows.fetchall()}


class Store:
    """A size-limited, least-recently-used store of arrays and JSON under string keys.

    Values lie as safetensors files (see `analysis.cache_disk`). Entries of another schema version
    have a directory of their own, and are neither read nor touched. Safe for threads and processes.
    """

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self.directory = directory / f"v{SCHEMA_VERSION}"
        self.limit_bytes = limit_bytes
        self._notices: list[str] = []
        self._cache: _Cache | None = None

    @classmethod
    def open(cls, directory: Path | None = None, limit_bytes: int | None = None) -> Store:
        """The store in `directory`, both from the settings by default; orphans are cleared away."""
        limits = settings()
        store = cls(directory or limits.cache_directory, limit_bytes or limits.cache_bytes)
        store._try(store._clear_orphans, None)
        return store

    def key(self, kind: str, **content: Any) -> str:
        """``kind/digest`` of everything in `content`, which must be JSON; equal in every process."""
        text = json.dumps([SCHEMA_VERSION, content], sort_keys=True, separators=(",", ":"), allow_nan=False)
        return f"{kind}/{hashlib.blake2b(text.encode(), digest_size=20).hexdigest()}"

    def get(self, key: str) -> Entry | None:
        """What is stored under `key`; None if there is nothing that can be trusted."""
        try:
            return self._try(lambda cache: cache.get(key), None)
        except RefusedValue as refused:
            self._note(f"An entry of the store was dropped: {refused}. It is computed again.")
            self.delete(key)
            return None

    def put(self, key: str, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> str | None:
        """Store a value, evicting the least recently used ones; a sentence if it was not stored."""
        size = sum(array.nbytes for array in arrays.values())
        largest = int(self.limit_bytes * settings().largest_entry_share)
        if size > largest:
            return (
                f"Shown but not stored: the value has {size / 2**20:.1f} MiB, more than the "
                f"{largest / 2**20:.1f} MiB that one entry may take. Raise PATHSCOPE_CACHE_BYTES to keep it."
            )

        def write(cache: _Cache) -> None:
            while cache.volume() + size > self.limit_bytes and cache.evict_one():
                pass
            cache.set(key, Entry(arrays, dict(values)))

        fault = self._fault(write)
        if fault is None:
            return None
        return f"Shown but not stored: {fault}. Check PATHSCOPE_CACHE_DIR ({self.directory})."

    def delete(self, key: str) -> None:
        """Forget `key`, if it is there."""
        self._try(lambda cache: cache.delete(key), False)

    def keys(self, prefix: str = "") -> list[str]:
        """All keys that begin with `prefix`, least recently stored first."""
        return self._try(lambda cache: cache.names(prefix), [])

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Exclude every other thread and process that locks the same key; freed if its holder dies."""
        return _lock(
            self.directory / "locks" / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"
        )

    def notices(self) -> tuple[str, ...]:
        """What was dropped or could not be reached, newest last."""
        return tuple(self._notices)

    def _opened(self) -> _Cache:
        """The diskcache behind this store, opened again if its directory went away."""
        if self._cache is None or not (self.directory / "cache.db").exists():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.chmod(0o700)
            self._cache = _Cache(
                str(self.directory),
                disk=SafetensorsDisk,
                cull_limit=0,
                size_limit=self.limit_bytes,
                eviction_policy="least-recently-used",
            )
        return self._cache

    def _try(self, action: Callable[[_Cache], T], otherwise: T) -> T:
        try:
            return action(self._opened())
        except STORE_FAULTS as fault:
            self._note(f"The store cannot be used: {fault}.")
            return otherwise

    def _fault(self, action: Callable[[_Cache], None]) -> str | None:
        try:
            action(self._opened())
        except STORE_FAULTS as fault:
            return f"the store cannot be written ({fault})"
        return None

    def _note(self, sentence: str) -> None:
        if sentence not in self._notices:
            self._notices.append(sentence)

    def _clear_orphans(self, cache: _Cache) -> None:
        """Delete files without a row whose writer is gone: what a kill in mid-write leaves behind."""
        known = cache.files()
        for path in [*self.directory.rglob("*.val"), *self.directory.rglob("*.tmp")]:
            if str(path.relative_to(self.directory)) not in known and not _writer_lives(path):
                path.unlink(missing_ok=True)


def _writer_lives(path: Path) -> bool:
    """Whether the process that named this file is running; it may be between file and row."""
    with suppress(ValueError, ProcessLookupError):
        writer = int(path.stem.rpartition("-")[2])
        if writer != os.getpid():
            os.kill(writer, 0)
            return True
    return False


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """A file lock where the directory can be written, else none: computing twice is only slower."""
    lock = FileLock(path, thread_local=False)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()
