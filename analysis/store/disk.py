"""How values lie on disk: safetensors files with a checksum each, and nothing else.

diskcache's own `Disk` pickles what it does not know; this one refuses to, in both directions, so
that a file planted in the directory can never run code.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import secrets
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import xxhash
from diskcache import UNKNOWN, Disk
from diskcache.core import MODE_BINARY

_NUMPY_TYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "I16": np.int16,
    "U16": np.uint16,
    "F16": np.float16,
    "I32": np.int32,
    "U32": np.uint32,
    "F32": np.float32,
    "I64": np.int64,
    "U64": np.uint64,
    "F64": np.float64,
}

#: Where value files lie, in the store's directory, and what their names look like.
VALUES = "values"
_NAME = re.compile(rf"{VALUES}/[0-9a-f]{{32}}\.safetensors")

#: A file changed again within one tick of the clock looks unchanged: younger ones are checked each time.
_TICK_NS = 100_000_000

#: How many files to remember as checked; a checksum is cheap, and memory must not grow for ever.
_MOST_CHECKED = 4096


@dataclass(frozen=True, eq=False)
class Entry:
    """A stored value: `arrays` are read-only views of the memory-mapped file, `values` is JSON."""

    arrays: Mapping[str, np.ndarray]
    values: dict[str, Any]
    key: str


class RefusedValue(Exception):
    """A row or file that is not what this store wrote: damaged, truncated, or planted."""


class SafetensorsDisk(Disk):
    """Keys are strings, values are safetensors files; the row holds the checksum of its file.

    A file is checked as a whole (xxh3-64) when this process first opens it, at the speed of reading
    it: of 25 MiB the checksum takes 2 ms, where zlib's CRC-32 takes 18 and BLAKE2b 78. As long as
    its inode, size and time of change stay the same it is only mapped afterwards, and its pages are
    read when they are used. One check of the whole, rather than one per array on first use, means
    that damage is known before a value is handed out: it is a miss, never an error in the middle of
    a computation.
    """

    def __init__(self, directory: str, **_: Any) -> None:
        super().__init__(directory, min_file_size=0)
        self._checked: dict[str, tuple[int, int, int, str]] = {}
        #: Written, but not known to any row yet.
        self.unrecorded: str | None = None

    def put(self, key: Any) -> tuple[str, bool]:
        """`key` as the database holds it. Raises `TypeError` unless it is a string."""
        if not isinstance(key, str):
            raise TypeError(f"a key is a string, not {key!r} of type {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        """A key read back; a pickled one is refused unread."""
        if not raw or not isinstance(key, str):
            raise RefusedValue("a row has a pickled key")
        return key

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str, str]:
        """Write what `encoded` made under a temporary name, sync it, and rename it."""
        if not isinstance(value, bytes) or read:
            raise TypeError(f"a value is bytes in safetensors format, not a {type(value).__name__}")
        name = f"{VALUES}/{secrets.token_hex(16)}.safetensors"
        path = Path(self._directory, name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(value)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        self.unrecorded = name
        return len(value), MODE_BINARY, name, xxhash.xxh3_64_hexdigest(value)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Entry:
        """The entry in `filename`. Raises `RefusedValue` for anything but an intact file of ours."""
        if mode != MODE_BINARY or filename is None or not isinstance(value, str) or read:
            raise RefusedValue(f"a row has mode {mode}, such as that of a pickle")
        if not _NAME.fullmatch(filename):
            raise RefusedValue("a row names a file that no store writes")
        with open(os.path.join(self._directory, filename), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if status.st_size == 0:
                raise RefusedValue("a file is empty")
            identity = (status.st_ino, status.st_size, status.st_ctime_ns, value)
            if self._checked.get(filename) != identity:
                # Read rather than mapped: a buffer that stays in the processor's cache is several
                # times faster than a fault for every page, and leaves the map untouched.
                if hashlib.file_digest(file, xxhash.xxh3_64).hexdigest() != value:
                    raise RefusedValue("a file does not match its checksum")
                self._remember(filename, identity)
            try:
                mapped = mmap.mmap(file.fileno(), status.st_size, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise RefusedValue("a file was cut short while it was read") from error
        return decoded(mapped)

    def remove(self, file_path: str) -> None:
        """Delete a value's file; readers that have it mapped keep their pages."""
        self._checked.pop(file_path, None)
        if _NAME.fullmatch(file_path):
            with suppress(OSError):
                os.remove(os.path.join(self._directory, file_path))

    def _remember(self, filename: str, identity: tuple[int, int, int, str]) -> None:
        if time.time_ns() - identity[2] > _TICK_NS:
            if len(self._checked) >= _MOST_CHECKED:
                self._checked.clear()
            self._checked[filename] = identity


def encoded(key: str, arrays: Mapping[str, np.ndarray], values: str) -> bytes:
    """Arrays in safetensors format; the key and the JSON text `values` in its metadata."""
    in_order = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return bytes(safetensors.numpy.save(in_order, metadata={"key": key, "values": values}))


def decoded(mapped: mmap.mmap) -> Entry:
    """Views of a memory-mapped safetensors file; no array's pages are read."""
    try:
        (length,) = struct.unpack("<Q", mapped[:8])
        header = json.loads(mapped[8 : 8 + length])
        metadata = header.pop("__metadata__")
        arrays = {name: _view(mapped, 8 + length, field) for name, field in header.items()}
        return Entry(arrays, json.loads(metadata["values"]), metadata["key"])
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusedValue("a file is not what a store writes") from error


def _view(mapped: mmap.mmap, data_start: int, field: dict[str, Any]) -> np.ndarray:
    start, stop = field["data_offsets"]
    dtype = np.dtype(_NUMPY_TYPES[field["dtype"]])
    flat = np.frombuffer(mapped, dtype, (stop - start) // dtype.itemsize, data_start + start)
    return flat.reshape(field["shape"])
