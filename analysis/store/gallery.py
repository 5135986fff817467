"""Values that came with the deployment: a folder of safetensors files, which are only read.

Neither a database nor a lock: the folder may be part of a file system that nobody can write to.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from analysis.errors import PathscopeError
from analysis.store.disk import Entry, RefusedValue, decoded, encoded

#: kind, digest of what the value depends on, checksum of the file
_NAME = re.compile(r"([a-z]+)-([0-9a-f]{40})\.([0-9a-f]{16})\.safetensors")


class Gallery:
    """The values in one folder by their keys in the store, as they were when it was opened."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        found = [match for name in _names(directory) if (match := _NAME.fullmatch(name))]
        self._files = {f"{match[1]}/{match[2]}": (match[0], match[3]) for match in found}
        self._checked: set[str] = set()

    def __len__(self) -> int:
        return len(self._files)

    def get(self, key: str) -> Entry | None:
        """The value under `key`; None if there is none, or its file is not as it was written."""
        if key not in self._files:
            return None
        name, checksum = self._files[key]
        try:
            with open(self.directory / name, "rb", buffering=0) as file:
                if name not in self._checked:
                    if hashlib.file_digest(file, xxhash.xxh3_64).hexdigest() != checksum:
                        return None
                    self._checked.add(name)
                entry = decoded(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError, RefusedValue):
            return None
        return entry if entry.key == key else None

    def add(self, key: str, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
        """Put a value into the folder, which is made if need be. Raises `PathscopeError` where it cannot."""
        content = encoded(key, arrays, json.dumps(dict(values)))
        checksum = xxhash.xxh3_64_hexdigest(content)
        name = f"{key.replace('/', '-')}.{checksum}.safetensors"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            temporary = self.directory / f"{name}.tmp"
            temporary.write_bytes(content)
            os.replace(temporary, self.directory / name)
        except OSError as error:
            raise PathscopeError(
                f"Nothing can be written to {str(self.directory)!r}: {error.strerror}. Name another folder."
            ) from error
        self._files[key] = (name, checksum)


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
