"""The store: results, and what long work has finished of itself, on disk, by content.

A store never fails its caller: what cannot be read is a miss, and what cannot be written comes
back as a sentence for the page. Several processes may share one directory.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import diskcache
import numpy as np
from diskcache.core import DBNAME
from filelock import FileLock

from analysis.settings import settings
from analysis.store.disk import Entry, encoded
from analysis.store.gallery import Gallery
from analysis.store.rows import Rows

T = TypeVar("T")

#: Raised whenever the layout of what is stored changes, so that old entries are not read.
SCHEMA_VERSION = 1

#: What a broken, full, read-only or vanished directory raises, through diskcache, SQLite and filelock.
STORE_FAULTS = (OSError, sqlite3.Error, diskcache.Timeout, NotImplementedError)

#: Seconds to wait for another process's write before giving up on one's own.
_PATIENCE = 20.0
_MOST_NOTICES = 20


class Store:
    """A size-limited, least-recently-used store of arrays and JSON under string keys.

    Values lie as safetensors files (see `analysis.store.disk`). Entries of another schema version
    have a directory of their own, and are neither read nor touched. Safe for threads and processes:
    one writes at a time, so that the limit holds; reading does not wait for a write. What it does not hold
    is looked for in the `gallery`, which came with the deployment.
    """

    def __init__(self, directory: Path, limit_bytes: int, gallery: Gallery | None = None) -> None:
        self.directory = directory / f"v{SCHEMA_VERSION}"
        self.limit_bytes = limit_bytes
        self.gallery = gallery
        self._notices: dict[str, float] = {}
        self._rows: tuple[Rows, tuple[int, int]] | None = None
        self._opening = threading.RLock()
        self._writing = threading.Lock()

    @classmethod
    def open(
        cls,
        directory: Path | None = None,
        limit_bytes: int | None = None,
        gallery: Gallery | None = None,
    ) -> Store:
        """The store in `directory`, both from the settings by default; orphans are cleared away."""
        limits = settings()
        store = cls(
            limits.store_directory if directory is None else directory,
            limits.store_bytes if limit_bytes is None else limit_bytes,
            gallery,
        )
        store._try(store._clear, None)
        return store

    def key(self, kind: str, **content: Any) -> str:
        """``kind/digest`` of everything in `content`, which must be JSON; equal in every process."""
        text = json.dumps([SCHEMA_VERSION, content], sort_keys=True, separators=(",", ":"), allow_nan=False)
        return f"{kind}/{hashlib.blake2b(text.encode(), digest_size=20).hexdigest()}"

    def get(self, key: str) -> Entry | None:
        """What is stored under `key`; None if there is nothing that can be trusted."""
        found = None if self.gallery is None else self.gallery.get(key)
        return found or self._try(lambda rows: rows.read(key, self._refuse), None)

    def put(self, key: str, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> str | None:
        """Store a value, evicting the least recently used ones; a sentence if it was not stored.

        Raises `TypeError` for `values` that are not JSON.
        """
        text = json.dumps(dict(values))
        size = len(text) + sum(array.nbytes for array in arrays.values())
        largest = int(self.limit_bytes * settings().largest_entry_share)
        if size > largest:
            return (
                f"Shown but not stored: the value has {size / 2**20:.1f} MiB, more than the "
                f"{largest / 2**20:.1f} MiB that one entry may take. Raise PATHSCOPE_STORE_BYTES to keep it."
            )
        value = encoded(key, arrays, text)
        try:
            rows = self._opened()
            with self._alone(_PATIENCE):
                rows.write(key, value, self.limit_bytes)
        except STORE_FAULTS as fault:
            self._recover(fault)
            return (
                f"Shown but not stored: {_reason(fault)}. "
                f"Check the directory that PATHSCOPE_STORE_DIR names ({self.directory.parent})."
            )
        return None

    def delete(self, key: str) -> None:
        """Forget `key`, if it is there."""
        self._try(lambda rows: rows.delete(key), False)

    def keys(self, prefix: str = "") -> list[str]:
        """All keys that begin with `prefix`, least recently stored first."""
        return self._try(lambda rows: rows.names(prefix), [])

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Exclude every other thread and process that locks the same key; freed if its holder dies.

        Excludes nobody where the directory cannot be written: computing twice is only slower.
        """
        return _lock(self._locks / hashlib.blake2b(key.encode(), digest_size=16).hexdigest())

    def notices(self, seconds: float = math.inf) -> tuple[str, ...]:
        """What was refused, dropped or could not be reached within the last `seconds`, newest last."""
        since = time.monotonic() - seconds
        return tuple(sentence for sentence, happened in list(self._notices.items()) if happened >= since)

    def close(self) -> None:
        """Close this thread's connection; it is opened again when it is needed."""
        if self._rows is not None:
            self._rows[0].close()

    @property
    def _locks(self) -> Path:
        return self.directory / "locks"

    def _opened(self) -> Rows:
        """The rows of this store, opened again if their directory went away or was replaced."""
        database = self.directory / DBNAME
        with self._opening:
            if self._rows is None or _identity(database) != self._rows[1]:
                self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.directory.mkdir(mode=0o700, exist_ok=True)
                self.directory.chmod(0o700)
                rows = Rows.open(self.directory, self.limit_bytes)
                self._rows = rows, _identity(database) or (0, 0)
            return self._rows[0]

    def _try(self, action: Callable[[Rows], T], otherwise: T) -> T:
        try:
            return action(self._opened())
        except STORE_FAULTS as fault:
            self._note(f"The store in {self.directory.parent} cannot be used: {_reason(fault)}.")
            self._recover(fault)
            return otherwise

    def _refuse(self, reason: str) -> None:
        self._note(f"An entry of the store was dropped: {reason}. It is computed again.")

    def _note(self, sentence: str) -> None:
        with self._opening:
            self._notices.pop(sentence, None)
            self._notices[sentence] = time.monotonic()
            for oldest in list(self._notices)[:-_MOST_NOTICES]:
                del self._notices[oldest]

    @contextmanager
    def _alone(self, patience: float) -> Iterator[None]:
        """Hold off every other writer, so that room made is room kept and no orphan is a write under way."""
        file = FileLock(self.directory / "writing.lock", patience, thread_local=False, poll_interval=0.005)
        with self._writing, file:
            yield

    def _recover(self, fault: Exception) -> None:
        """Make the next attempt a fresh one, where `fault` would otherwise last."""
        code = getattr(_cause(fault), "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            with suppress(*STORE_FAULTS), self._alone(_PATIENCE):
                _set_aside(self.directory / DBNAME)
        elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            # SQLite never upgrades a connection that it had to open for reading only.
            self.close()

    def _clear(self, rows: Rows) -> None:
        """Delete what a kill in mid-write left behind, and rows that no store writes."""
        with suppress(TimeoutError), self._alone(1.0):
            for reason in rows.drop_planted():
                self._refuse(reason)
            rows.drop_orphans()
        for _, _, names in os.walk(self._locks):
            for name in names:
                with suppress(TimeoutError), FileLock(self._locks / name, 0, thread_local=False):
                    (self._locks / name).unlink(missing_ok=True)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _set_aside(database: Path) -> None:
    """Rename `database`, unless another process has begun a sound one meanwhile."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(database)) as connection:
        if connection.execute("PRAGMA quick_check").fetchone() == ("ok",):
            return
    for suffix in ("-wal", "-shm", ""):
        file = database.with_name(f"{DBNAME}{suffix}")
        if file.exists():
            file.replace(file.with_name(f"damaged-{file.name}"))


def _cause(fault: BaseException) -> BaseException:
    """What SQLite refused, where diskcache raised its own `Timeout` for it, a read-only file included."""
    return (fault.__context__ or fault) if isinstance(fault, diskcache.Timeout) else fault


def _reason(fault: BaseException) -> str:
    """`fault` in the system's words, without the names of temporary files."""
    if isinstance(fault, TimeoutError):
        return "another process has been writing for too long"
    cause = _cause(fault)
    return getattr(cause, "strerror", None) or str(cause) or type(fault).__name__


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    lock = FileLock(path, thread_local=False)
    with suppress(OSError, NotImplementedError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
