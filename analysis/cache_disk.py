"""How values lie on disk: safetensors files with a checksum each, and nothing else.

diskcache's own `Disk` pickles what it does not know; this one refuses to, in both directions, so
that a file planted in the directory can never run code.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Mapping
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


@dataclass(frozen=True, eq=False)
class Entry:
    """A stored value: `arrays` are read-only views of the memory-mapped file, `values` is JSON."""

    arrays: Mapping[str, np.ndarray]
    values: dict[str, Any]


class RefusedValue(Exception):
    """A row or file that is not what this store wrote: damaged, truncated, or planted."""


class SafetensorsDisk(Disk):
    """Keys are strings, values are `Entry`; the row holds the checksum of its file.

    A file is checked as a whole (xxh3-64) when this process first opens it, which takes about a
    millisecond for 20 MB; as long as its inode, size and time of change stay the same it is only
    mapped afterwards, and its pages are touched when they are used.
    """

    def __init__(self, directory: str, **_: Any) -> None:
        super().__init__(directory, min_file_size=0)
        self._checked: dict[str, tuple[int, int, int, str]] = {}

    def put(self, key: Any) -> tuple[str, bool]:
        """`key` as the database holds it; only strings are keys."""
        if not isinstance(key, str):
            raise RefusedValue(f"a key of type {type(key).__name__}; keys are strings")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        """A key read back; a pickled one is refused unread."""
        if not raw or not isinstance(key, str):
            raise RefusedValue("a pickled key")
        return key

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str, str]:
        """Write `value` under a temporary name, sync it, and rename it."""
        if not isinstance(value, Entry) or read:
            raise RefusedValue(f"a value of type {type(value).__name__}; values are entries")
        blob = encoded(value)
        name, full_path = self.filename(key, value)
        path = Path(full_path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return len(blob), MODE_BINARY, name, xxhash.xxh3_64_hexdigest(blob)

    def filename(self, key: Any = UNKNOWN, value: Any = UNKNOWN) -> tuple[str, str]:
        """A random name that tells which process wrote it, so that orphans can be recognised."""
        name, full_path = super().filename(key, value)
        suffix = f"-{os.getpid()}.val"
        return name.removesuffix(".val") + suffix, full_path.removesuffix(".val") + suffix

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Entry:
        """The entry in `filename`. Raises `RefusedValue` for anything but an intact file of ours."""
        if mode != MODE_BINARY or filename is None or not isinstance(value, str) or read:
            raise RefusedValue(f"a row of mode {mode}, such as a pickle")
        path = os.path.join(self._directory, filename)
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size == 0:
                raise RefusedValue("an empty file")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        identity = (status.st_ino, status.st_size, status.st_mtime_ns, value)
        if self._checked.get(filename) != identity:
            if xxhash.xxh3_64_hexdigest(mapped) != value:
                raise RefusedValue("a file that does not match its checksum")
            self._checked[filename] = identity
        return decoded(mapped)

    def remove(self, file_path: str) -> None:
        """Delete a value's file; readers that have it mapped keep their pages."""
        self._checked.pop(file_path, None)
        super().remove(file_path)


def encoded(entry: Entry) -> bytes:
    """`entry` in safetensors format, its JSON in the metadata."""
    arrays = {name: np.ascontiguousarray(array) for name, array in entry.arrays.items()}
    return bytes(safetensors.numpy.save(arrays, metadata={"values": json.dumps(entry.values)}))


def decoded(mapped: mmap.mmap) -> Entry:
    """Views of a memory-mapped safetensors file; no array's pages are read."""
    try:
        (length,) = struct.unpack("<Q", mapped[:8])
        header = json.loads(mapped[8 : 8 + length])
        values = json.loads(header.pop("__metadata__")["values"])
        arrays = {name: _view(mapped, 8 + length, field) for name, field in header.items()}
    except (struct.error, ValueError, KeyError) as error:
        raise RefusedValue("a file that is not safetensors") from error
    return Entry(arrays, values)


def _view(mapped: mmap.mmap, data_start: int, field: dict[str, Any]) -> np.ndarray:
    start, stop = field["data_offsets"]
    dtype = np.dtype(_NUMPY_TYPES[field["dtype"]])
    flat = np.frombuffer(mapped, dtype, (stop - start) // dtype.itemsize, data_start + start)
    return flat.reshape(field["shape"])
