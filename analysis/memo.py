"""One computation per key, whoever asks: looked up, or computed by one thread of one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from analysis.cache import Store
from analysis.settings import settings

Parts = tuple[Mapping[str, np.ndarray], dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Memo:
    """Arrays and JSON values as they were stored or have just been computed.

    `note` is a sentence if the computed parts could not be stored; they are whole all the same.
    """

    arrays: Mapping[str, np.ndarray]
    values: dict[str, Any]
    from_store: bool
    note: str | None = None


def open_store() -> Store:
    """The store of this process, at the place and of the size that the settings name."""
    limits = settings()
    return _open(limits.cache_directory, limits.cache_bytes)


@lru_cache(maxsize=4)
def _open(directory: Path, limit_bytes: int) -> Store:
    return Store.open(directory, limit_bytes)


def recall(store: Store, key: str) -> Memo | None:
    """What is stored under `key`."""
    entry = store.get(key)
    return None if entry is None else Memo(entry.arrays, entry.values, from_store=True)


def computed_once(store: Store, key: str, compute: Callable[[], Parts]) -> Memo:
    """What is stored under `key`, else `compute()`, which is then stored.

    Everyone who asks for the same key meanwhile, in this process or another one on the same
    store, waits for that computation. If it raises, the next in line tries.
    """
    found = recall(store, key)
    if found is not None:
        return found
    with store.lock(key):
        found = recall(store, key)
        if found is not None:
            return found
        arrays, values = compute()
        return Memo(arrays, values, from_store=False, note=store.put(key, arrays, values))
