"""The index of a store: diskcache's table, read without waiting and evicted one entry at a time."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import diskcache
from diskcache.core import MODE_BINARY

from analysis.store.disk import VALUES, Entry, RefusedValue, SafetensorsDisk

_OURS = "raw AND typeof(key) = 'text'"


class Rows(diskcache.Cache):
    """diskcache's `Cache` of a store's values. Raises its, SQLite's and the system's errors."""

    @classmethod
    def open(cls, directory: Path, limit_bytes: int) -> Rows:
        """The rows in `directory`, which diskcache itself must never empty: hence ``cull_limit=0``."""
        return cls(
            str(directory),
            timeout=20,
            disk=SafetensorsDisk,
            cull_limit=0,
            size_limit=limit_bytes,
            eviction_policy="least-recently-used",
        )

    def read(self, key: str, refuse: Callable[[str], None]) -> Entry | None:
        """The entry under `key`, marked as used; what cannot be trusted is dropped and told to `refuse`.

        Takes no lock: a value replaced between row and file is looked up again.
        """
        seen = None
        while True:
            row = self._sql(
                "SELECT rowid, mode, filename, value FROM Cache WHERE key = ? AND raw",
                self._disk.put(key)[:1],
            ).fetchone()
            if row is None:
                return None
            rowid, mode, filename, value = row
            try:
                entry: Entry = self._disk.fetch(mode, filename, value, read=False)
                if entry.key != key:
                    raise RefusedValue("a row names the file of another key")
            except (RefusedValue, FileNotFoundError) as fault:
                if isinstance(fault, FileNotFoundError) and filename != seen:
                    seen = filename
                    continue
                refuse(str(fault) if isinstance(fault, RefusedValue) else "its file is gone")
                self._drop(rowid, filename)
                return None
            with suppress(sqlite3.Error):
                self._sql("UPDATE Cache SET access_time = ? WHERE rowid = ?", (time.time(), rowid))
            return entry

    def write(self, key: str, value: bytes, limit_bytes: int) -> None:
        """Make room, then write file and row; a file whose row cannot be written does not stay."""
        self._make_room(limit_bytes - len(value), key)
        try:
            self.set(key, value)
        except BaseException:
            if self._disk.unrecorded is not None:
                self._disk.remove(self._disk.unrecorded)
            raise
        finally:
            self._disk.unrecorded = None

    def names(self, prefix: str) -> list[str]:
        """All keys that begin with `prefix`, least recently stored first."""
        rows = self._sql(
            f"SELECT key FROM Cache WHERE {_OURS} AND substr(key, 1, ?) = ? ORDER BY store_time",
            (len(prefix), prefix),
        )
        return [key for (key,) in rows.fetchall()]

    def drop_planted(self) -> list[str]:
        """Delete rows that only a pickling cache, or an intruder, can have written; what they were."""
        rows = self._sql(
            f"SELECT rowid, filename, mode FROM Cache WHERE NOT ({_OURS}) OR mode != ?", (MODE_BINARY,)
        ).fetchall()
        for rowid, filename, _ in rows:
            self._drop(rowid, filename)
        return [f"a row has mode {mode} or a key of another type, such as a pickle" for _, _, mode in rows]

    def drop_orphans(self) -> None:
        """Delete every file without a row. Nobody may be writing meanwhile."""
        folder = Path(self.directory, VALUES)
        present = {f"{VALUES}/{name}" for _, _, names in os.walk(folder) for name in names}
        rows = self._sql("SELECT filename FROM Cache WHERE filename IS NOT NULL").fetchall()
        for name in present.difference(name for (name,) in rows):
            Path(self.directory, name).unlink(missing_ok=True)

    def _make_room(self, limit_bytes: int, keep: str) -> None:
        """Delete the least recently used entries, one by one, down to `limit_bytes`; never `keep`."""
        while self.volume() > limit_bytes:
            oldest = self._sql(
                f"SELECT rowid, filename FROM Cache WHERE {_OURS} AND key != ? ORDER BY access_time LIMIT 1",
                (keep,),
            ).fetchone()
            if oldest is None:
                return
            self._drop(*oldest)

    def _drop(self, rowid: int, filename: str | None) -> None:
        """Delete a row, unless it has another value by now, and its file."""
        with self._transact() as (sql, cleanup):
            sql("DELETE FROM Cache WHERE rowid = ? AND filename IS ?", (rowid, filename))
            cleanup(filename)
