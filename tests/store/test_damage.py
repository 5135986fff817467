"""Damaged and planted files are misses, told of and written anew; they never yield a value or run code."""

from __future__ import annotations

import os
import pickle
import random
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from analysis.store.disk import VALUES
from analysis.store.store import Store
from tests.store.workers import files, is_whole, write


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store.open(tmp_path)
    assert write(store, "kind/a", 1, 1000) is None
    return store


def value_file(store: Store) -> Path:
    (file,) = (store.directory / VALUES).iterdir()
    return file


def database(store: Store) -> sqlite3.Connection:
    return sqlite3.connect(store.directory / "cache.db", isolation_level=None)


def assert_a_miss_that_can_be_mended(store: Store) -> None:
    assert store.get("kind/a") is None
    assert "dropped" in store.notices()[-1]
    assert files(store) == set() and store.keys() == []
    assert write(store, "kind/a", 2, 1000) is None
    assert is_whole(store.get("kind/a"))


@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize("keep", [0, 1, 7, 100, 0.5, -1])
def test_a_truncated_file_is_a_miss(store, keep, read_before):
    file = value_file(store)
    whole = file.read_bytes()
    if read_before:
        assert is_whole(store.get("kind/a"))
    # As a copy that broke off would lie there; a reader's map of the old file stays whole.
    file.unlink()
    file.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    assert_a_miss_that_can_be_mended(store)


def test_every_single_flipped_bit_is_a_miss(store):
    file = value_file(store)
    whole = file.read_bytes()
    for place in [*range(16), *random.Random(0).sample(range(16, len(whole)), 60), len(whole) - 1]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        assert store.get("kind/a") is None, f"bit {place % 8} of byte {place}"
        write(store, "kind/a", 1, 1000)
        file = value_file(store)
    assert is_whole(store.get("kind/a"))


def test_a_bit_flipped_after_the_first_reading_is_a_miss(store):
    file = value_file(store)
    old = file.stat()
    os.utime(file, ns=(0, 0))
    assert is_whole(store.get("kind/a"))
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    os.utime(file, ns=(0, 0))
    assert file.stat().st_size == old.st_size
    assert_a_miss_that_can_be_mended(store)


def test_a_lost_file_is_a_miss(store):
    value_file(store).unlink()
    assert_a_miss_that_can_be_mended(store)


def test_a_row_that_names_the_file_of_another_key_is_a_miss(store):
    with database(store) as rows:
        rows.execute("UPDATE Cache SET key = 'kind/b'")
    assert store.get("kind/b") is None
    assert "another key" in store.notices()[-1]


class Planted:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def pickled(tmp_path) -> bytes:
    return pickle.dumps(Planted(tmp_path / "unpickled"))


@pytest.fixture(autouse=True)
def _nothing_was_unpickled(tmp_path):
    yield
    assert not (tmp_path / "unpickled").exists()


def test_the_plant_would_run(pickled, tmp_path):
    pickle.loads(pickled)
    (tmp_path / "unpickled").rmdir()


@pytest.mark.parametrize("in_a_file", [False, True])
@pytest.mark.parametrize("restart", [False, True])
def test_a_planted_pickled_value_is_refused_and_told_of(store, pickled, in_a_file, restart):
    pickle_mode = 4
    with database(store) as rows:
        if in_a_file:
            value_file(store).write_bytes(pickled)
            rows.execute("UPDATE Cache SET mode = ?, value = NULL", (pickle_mode,))
        else:
            rows.execute("UPDATE Cache SET mode = ?, filename = NULL, value = ?", (pickle_mode, pickled))
    store = Store.open(store.directory.parent) if restart else store
    assert store.get("kind/a") is None
    assert "pickle" in store.notices()[-1]
    assert store.keys() == []


def test_a_pickle_in_the_place_of_a_value_is_refused(store, pickled):
    value_file(store).write_bytes(pickled)
    assert_a_miss_that_can_be_mended(store)


def test_a_pickled_key_is_dropped_unread(store, pickled):
    with database(store) as rows:
        rows.execute("UPDATE Cache SET key = ?, raw = 0", (pickled,))
    again = Store.open(store.directory.parent)
    assert again.keys() == [] and again.get("kind/a") is None
    assert "pickle" in again.notices()[-1]
    assert files(again) == set()


def test_a_row_cannot_lead_out_of_the_directory(store, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(value_file(store).read_bytes())
    for name in (str(elsewhere), "../elsewhere", f"{VALUES}/../../elsewhere"):
        with database(store) as rows:
            rows.execute("UPDATE Cache SET filename = ?", (name,))
        assert store.get("kind/a") is None
        assert elsewhere.exists()
        write(store, "kind/a", 1, 1000)


@pytest.mark.parametrize("damage", ["no database", "a broken page"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_damaged_database_is_set_aside(store, damage, restart):
    for number in range(100):
        store.put(f"kind/{number}", {}, {"text": "x" * 50})
    file = store.directory / "cache.db"
    with database(store) as rows:
        rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if damage == "no database":
        file.write_bytes(b"\xff" * file.stat().st_size)
    else:
        whole = bytearray(file.read_bytes())
        whole[8192:] = np.random.default_rng(0).bytes(len(whole) - 8192)
        file.write_bytes(whole)
    store = Store.open(store.directory.parent) if restart else store
    for _ in range(2):
        store.get("kind/a")
        write(store, "kind/a", 2, 1000)
    assert is_whole(store.get("kind/a"))
    assert any("cannot be used" in notice for notice in store.notices())
