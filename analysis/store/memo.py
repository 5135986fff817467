"""One computation per key, whoever asks: looked up, or computed by one thread of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from analysis.settings import settings
from analysis.store.gallery import Gallery
from analysis.store.store import Store

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


_under_way: dict[tuple[Path, str], Future[Memo]] = {}
_guard = threading.Lock()


def open_store() -> Store:
    """The store of this process over its gallery, at the places and of the size that the settings name."""
    limits = settings()
    return _open(limits.store_directory, limits.store_bytes, limits.gallery_directory)


@lru_cache(maxsize=4)
def _open(directory: Path, limit_bytes: int, gallery: Path | None) -> Store:
    return Store.open(directory, limit_bytes, None if gallery is None else Gallery(gallery))


def recall(store: Store, key: str) -> Memo | None:
    """What is stored under `key`; None if there is nothing that can be trusted."""
    entry = store.get(key)
    return None if entry is None else Memo(entry.arrays, entry.values, from_store=True)


def computed_once(store: Store, key: str, compute: Callable[[], Parts]) -> Memo:
    """What is stored under `key`, else `compute()`, which is then stored.

    Whoever asks for the same key meanwhile gets the result, or the error, of that one computation:
    threads of this process at once, also where nothing can be stored; another process on the same
    store once it is stored there. Raises whatever `compute` raises.
    """
    found = recall(store, key)
    if found is not None:
        return found
    place = (store.directory, key)
    with _guard:
        computation = _under_way.get(place)
        if computation is None:
            mine = _under_way[place] = Future()
    if computation is not None:
        return computation.result()
    try:
        memo = _compute_or_recall(store, key, compute)
    except BaseException as error:
        mine.set_exception(error)
        raise
    else:
        mine.set_result(memo)
        return memo
    finally:
        del _under_way[place]


def _compute_or_recall(store: Store, key: str, compute: Callable[[], Parts]) -> Memo:
    with store.lock(key):
        found = recall(store, key)
        if found is not None:
            return found
        arrays, values = compute()
        return Memo(arrays, values, from_store=False, note=store.put(key, arrays, values))
