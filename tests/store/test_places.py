"""A full, read-only or vanished directory costs the storing, never the answer."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from analysis.store import SCHEMA_VERSION
from analysis.store.store import Store
from tests.store.places import fill, largest_file, read_only, small_filesystem
from tests.store.workers import files, is_whole, write

LARGE = 1_000_000


def assert_not_stored(note: str | None, reason: str) -> None:
    assert note is not None and note.startswith("Shown but not stored")
    assert reason in note and "PATHSCOPE_STORE_DIR" in note


def test_a_full_disk_is_told_of_and_keeps_what_is_there(tmp_path):
    with small_filesystem(tmp_path / "disk", 4) as disk:
        store = Store.open(disk)
        assert write(store, "kind/small", 1, 1000) is None
        assert_not_stored(write(store, "kind/large", 2, LARGE), "No space left on device")
        assert len(files(store)) == 1
        assert is_whole(store.get("kind/small"))
        assert write(store, "kind/other", 3, 1000) is None


def test_a_disk_filled_to_the_last_byte_is_told_of_and_an_open_store_still_read(tmp_path):
    with small_filesystem(tmp_path / "disk", 4) as disk:
        store = Store.open(disk)
        assert write(store, "kind/small", 1, 1000) is None
        fill(disk / "ballast")
        for seed in range(5):
            assert_not_stored(write(store, f"kind/{seed}", seed, 1000), "")
            assert is_whole(store.get("kind/small"))
        second = Store.open(disk)
        assert_not_stored(write(second, "kind/other", 3, 1000), "")
        (disk / "ballast").unlink()
        assert is_whole(second.get("kind/small"))
        assert write(second, "kind/other", 3, 1000) is None
        assert is_whole(store.get("kind/other"))


def test_a_file_that_may_not_grow_is_told_of(tmp_path):
    store = Store.open(tmp_path)
    assert write(store, "kind/small", 1, 1000) is None
    with largest_file(1_000_000):
        assert_not_stored(write(store, "kind/large", 2, LARGE), "File too large")
    assert len(files(store)) == 1
    assert is_whole(store.get("kind/small"))
    assert write(store, "kind/large", 2, LARGE) is None


def test_a_file_does_not_stay_whose_row_the_database_refuses(tmp_path):
    store = Store.open(tmp_path)
    with closing(sqlite3.connect(store.directory / "cache.db")) as rows:
        rows.execute("CREATE TRIGGER full BEFORE INSERT ON Cache BEGIN SELECT RAISE(ABORT, 'no room'); END")
    assert_not_stored(write(store, "kind/a", 1, 1000), "no room")
    assert files(store) == set()


def test_a_directory_that_becomes_read_only_is_told_of(tmp_path):
    with small_filesystem(tmp_path / "disk", 8) as disk:
        store = Store.open(disk)
        assert write(store, "kind/a", 1, 1000) is None
        store.close()
        with read_only(disk):
            entry = store.get("kind/a")
            assert entry is None or is_whole(entry)
            assert_not_stored(write(store, "kind/b", 2, 1000), "")
            store.delete("kind/a")
            with store.lock("kind/a"):
                pass
        assert is_whole(store.get("kind/a"))
        assert write(store, "kind/b", 2, 1000) is None


def test_a_store_that_opens_in_a_read_only_directory_misses_and_says_why(tmp_path):
    with small_filesystem(tmp_path / "disk", 8) as disk, read_only(disk):
        store = Store.open(disk)
        assert store.get("kind/a") is None and store.keys() == []
        assert_not_stored(write(store, "kind/a", 1, 1000), "ead-only")
        assert "ead-only" in store.notices()[0]


def test_a_directory_that_cannot_be_one_is_told_of(tmp_path):
    (tmp_path / "file").touch()
    store = Store.open(tmp_path / "file")
    assert store.get("kind/a") is None
    assert_not_stored(write(store, "kind/a", 1, 1000), "File exists")
    with store.lock("kind/a"):
        pass


@pytest.mark.parametrize("level", [0, 1])
def test_a_vanished_directory_is_a_miss_and_is_made_again(tmp_path, level):
    store = Store.open(tmp_path / "store")
    write(store, "kind/a", 1, 1000)
    held = store.get("kind/a")
    shutil.rmtree([store.directory, store.directory.parent][level])
    assert store.get("kind/a") is None
    assert is_whole(held)
    assert write(store, "kind/a", 2, 1000) is None
    assert is_whole(store.get("kind/a"))


def test_a_directory_replaced_by_another_server_is_noticed(tmp_path):
    store = Store.open(tmp_path)
    write(store, "kind/a", 1, 1000)
    shutil.rmtree(store.directory)
    write(Store.open(tmp_path), "kind/b", 2, 1000)
    assert store.get("kind/a") is None
    assert is_whole(store.get("kind/b"))


def test_another_schema_version_is_neither_read_nor_touched(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.store.store.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    other = Store.open(tmp_path)
    write(other, "kind/a", 1, 1000)
    kept = files(other)
    monkeypatch.setattr("analysis.store.store.SCHEMA_VERSION", SCHEMA_VERSION)
    store = Store.open(tmp_path)
    assert store.get("kind/a") is None and store.keys() == []
    write(store, "kind/a", 2, 1000)
    assert files(other) == kept
    untouched = other.get("kind/a")
    assert untouched is not None and untouched.values["seed"] == 1


def test_a_limit_of_nothing_stores_nothing_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATHSCOPE_STORE_BYTES", str(2**30))
    store = Store.open(tmp_path, 0)
    note = store.put("a/b", {}, {"value": 1})
    assert note is not None and note.startswith("Shown but not stored") and "PATHSCOPE_STORE_BYTES" in note
    assert store.get("a/b") is None


def test_a_notice_is_news_for_a_while_and_again_when_it_happens_again(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("analysis.store.store.time", SimpleNamespace(monotonic=lambda: clock.now))
    store = Store.open(tmp_path)
    for clock.now, fault in ((0.0, "first"), (50.0, "second"), (100.0, "first")):
        store._note(fault)
    clock.now = 120.0
    assert store.notices() == ("second", "first")
    assert store.notices(60.0) == ("first",)
    assert store.notices(10.0) == ()
