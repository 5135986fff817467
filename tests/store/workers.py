"""Processes that use a store until their time is up or they are killed.

Imported by the fork server: nothing here may load more than the store itself.
"""

from __future__ import annotations

import os
import random
import threading
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

import numpy as np

from analysis.store.disk import VALUES, Entry
from analysis.store.store import Store

#: The long setting of the fault tests: as many rounds, and as long, as the store promises to stand.
LONG = os.environ.get("LONG_STORE_FAULTS") == "long"

#: Forks from a process that has neither pytest's threads nor torch in it.
processes = get_context("forkserver")
processes.set_forkserver_preload([__name__])


def content(seed: int, size: int) -> dict[str, np.ndarray]:
    """Arrays that `seed` and `size` determine, so that any mixture of two values shows."""
    random_numbers = np.random.default_rng(seed)
    return {"values": random_numbers.standard_normal(size), "seed": np.asarray(seed)}


def is_whole(entry: Entry) -> bool:
    """Whether every number in `entry` is what its seed and size determine."""
    expected = content(entry.values["seed"], entry.values["size"])
    return entry.arrays.keys() == expected.keys() and all(
        np.array_equal(entry.arrays[name], expected[name]) for name in expected
    )


def write(store: Store, key: str, seed: int, size: int) -> str | None:
    return store.put(key, content(seed, size), {"seed": seed, "size": size})


def files(store: Store) -> set[str]:
    return {path.name for path in (store.directory / VALUES).glob("*")}


def write_for_ever(directory: Path, seed: int, told: Connection) -> None:
    """Write new keys and overwrite old ones, telling of each before it begins and once it is stored."""
    store = Store.open(directory)
    order = random.Random(seed)
    while True:
        seed += 1
        key = f"kind/{order.randrange(12)}"
        told.send(("began", key, seed))
        if write(store, key, seed, order.choice([100, 20_000, 100_000])) is None:
            told.send(("stored", key, seed))


def hammer(directory: Path, limit_bytes: int, seconds: float, seed: int, told: Connection) -> None:
    """Eight threads that write, read and delete at random; tells what they saw."""
    store = Store.open(directory, limit_bytes)
    counts = {"writes": 0, "reads": 0, "misses": 0, "wrong": 0, "refused": 0}
    guard = threading.Lock()
    end = time.monotonic() + seconds

    def work(order: random.Random) -> None:
        while time.monotonic() < end:
            key, deed = f"kind/{order.randrange(40)}", order.random()
            if deed < 0.3:
                note = write(store, key, order.randrange(1 << 30), order.choice([10, 1_000, 12_000]))
                seen = "writes" if note is None else "refused"
            elif deed < 0.35:
                store.delete(key)
                continue
            else:
                entry = store.get(key)
                seen = "misses" if entry is None else "reads" if is_whole(entry) else "wrong"
            with guard:
                counts[seen] += 1

    threads = [threading.Thread(target=work, args=(random.Random(seed * 8 + n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.send((counts, store.notices()))


def write_slowly(directory: Path, told: Connection) -> None:
    """Stop between a file and its row until told to go on."""
    store, replace = Store.open(directory), os.replace

    def replace_and_wait(source: Path, target: Path) -> None:
        replace(source, target)
        told.send("in the middle")
        told.recv()

    with patch("os.replace", replace_and_wait):
        told.send(write(store, "kind/slow", 1, 1000))


def hold(directory: Path, key: str, told: Connection) -> None:
    """Hold the lock of `key` until told to let go."""
    with Store.open(directory).lock(key):
        told.send("held")
        told.recv()
