"""``python -m tests.benchmarks.store``: how long a 25 MiB activation cache takes to read and write.

Prints milliseconds (median and worst of ``--rounds``) of: a write; the first read of a process, with
the file in memory and with it evicted from the page cache; every later read; reading all its
numbers. Then the checksums that could have been chosen, on the same bytes. The directory is
``--directory``, a temporary one by default.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import xxhash

from analysis.store.disk import VALUES
from analysis.store.store import Store

N_ARRAYS, SHAPE = 50, (1, 16, 12, 683)


def milliseconds(action: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def report(what: str, times: list[float]) -> None:
    print(f"{what:48} {statistics.median(times):9.2f} {max(times):9.2f}")


def leave_memory(store: Store) -> None:
    """Ask the kernel to drop the files' pages, so that the next read goes to the disk."""
    for file in (store.directory / VALUES).iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def measure(directory: Path, rounds: int) -> None:
    arrays = {
        f"blocks.{n}.attn.hook_z": np.random.default_rng(n).standard_normal(SHAPE, np.float32)
        for n in range(N_ARRAYS)
    }
    mebibytes = sum(array.nbytes for array in arrays.values()) / 2**20
    print(f"{mebibytes:.1f} MiB in {N_ARRAYS} arrays; milliseconds {'median':>19} {'worst':>9}")
    store = Store.open(directory)
    report(
        "write, synced to the disk", [milliseconds(lambda: store.put("k", arrays, {})) for _ in range(rounds)]
    )

    def first() -> float:
        fresh = Store.open(directory)
        return milliseconds(lambda: fresh.get("k"))

    def first_from_disk() -> float:
        leave_memory(store)
        return first()

    report("first read of a process, from the disk", [first_from_disk() for _ in range(rounds)])
    report("first read of a process, file in memory", [first() for _ in range(rounds)])
    time.sleep(0.2)
    store.get("k")
    report("later reads", [milliseconds(lambda: store.get("k")) for _ in range(rounds)])

    def sums() -> list[float]:
        entry = store.get("k")
        return [] if entry is None else [float(array.sum()) for array in entry.arrays.values()]

    report("later read, every number used", [milliseconds(sums) for _ in range(rounds)])
    checksums(b"".join(array.tobytes() for array in arrays.values()), rounds)


def checksums(value: bytes, rounds: int) -> None:
    """The speed of each candidate on `value`."""
    candidates: dict[str, Callable[[bytes], object]] = {
        "xxhash.xxh3_64": xxhash.xxh3_64_digest,
        "zlib.crc32": zlib.crc32,
        "hashlib.sha256": lambda data: hashlib.sha256(data).digest(),
        "hashlib.blake2b": lambda data: hashlib.blake2b(data).digest(),
    }
    for name, checksum in candidates.items():
        times = [milliseconds(partial(checksum, value)) for _ in range(rounds)]
        report(f"checksum {name}", times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as temporary:
        measure(Path(temporary), options.rounds)
