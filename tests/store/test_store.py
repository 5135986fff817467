"""What a store must do while nothing goes wrong: return what was put, keep its limit, forget the oldest."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from analysis.store.disk import VALUES, RefusedValue, SafetensorsDisk
from analysis.store.store import Store

LIMIT = 400_000


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open(tmp_path / "store", LIMIT)


def tenth(seed: int) -> dict[str, np.ndarray]:
    """A value of a tenth of the limit."""
    return {"a": np.full(LIMIT // 80, seed, dtype=np.float64)}


def used(store: Store) -> int:
    return sum(path.stat().st_size for path in (store.directory / VALUES).iterdir())


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.arange(24).reshape(2, 3, 4)[:, ::2],
        np.array(3.5),
        np.zeros((0, 3), np.float16),
        np.array([True, False]),
        np.array([np.nan, np.inf, -0.0]),
        np.arange(3, dtype=np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_an_array_comes_back_with_its_bits_shape_and_dtype(store, array):
    assert store.put("kind/a", {"first": np.arange(3, dtype=np.uint8), "array": array}, {}) is None
    back = store.get("kind/a").arrays["array"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


def test_json_values_come_back(store):
    values = {"text": 'é\ud7ff"\n', "list": [1, 2.5, None, True], "nested": {"": {}}, "nan": float("inf")}
    store.put("kind/a", {}, values)
    assert store.get("kind/a").values == values


def test_arrays_are_read_only_views_of_the_file(store):
    store.put("kind/a", tenth(1), {})
    array = store.get("kind/a").arrays["a"]
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2
    (file,) = (store.directory / VALUES).iterdir()
    assert str(file) in Path("/proc/self/maps").read_text()
    np.testing.assert_array_equal(load_file(file)["a"], array)


def test_a_value_read_before_stays_whole_when_it_is_replaced_or_deleted(store):
    store.put("kind/a", tenth(1), {})
    held = store.get("kind/a").arrays["a"]
    store.put("kind/a", tenth(2), {})
    assert (store.get("kind/a").arrays["a"] == 2).all()
    store.delete("kind/a")
    assert store.get("kind/a") is None
    assert (held == 1).all()


def test_the_directory_is_for_its_owner_alone(store, tmp_path):
    for directory in (store.directory, tmp_path / "store", store.directory / VALUES):
        store.put("kind/a", {}, {})
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    store.directory.chmod(0o755)
    Store.open(tmp_path / "store", LIMIT)
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700


def test_keys_are_found_by_prefix(store):
    for key in ("piece/b", "piece/a", "pie/c", "piece%/d"):
        store.put(key, {}, {})
    assert store.keys("piece/") == ["piece/b", "piece/a"]
    assert len(store.keys()) == 4


def test_a_key_is_a_string(store):
    for key in (1, b"kind/a", ("kind", "a"), None):
        with pytest.raises(TypeError, match="a key is a string"):
            store.get(key)


def test_a_key_is_made_from_content_and_kind_alone(store, tmp_path):
    key = store.key("kind", a=1, b=[1, {"x": "y", "z": None}])
    assert key == Store.open(tmp_path / "other").key("kind", b=[1, {"z": None, "x": "y"}], a=1)
    others = [
        store.key("other", a=1, b=[1, {"x": "y", "z": None}]),
        store.key("kind", a=2, b=[1, {"x": "y", "z": None}]),
        store.key("kind", a="1", b=[1, {"x": "y", "z": None}]),
        store.key("kind", a=True, b=[1, {"x": "y", "z": None}]),
        store.key("kind", a=1, b=[1, {"x": "y"}]),
        store.key("kind", a=1),
    ]
    assert len({key, *others}) == 7


def test_another_schema_version_has_other_keys(store, monkeypatch):
    key = store.key("kind", a=1)
    monkeypatch.setattr("analysis.store.store.SCHEMA_VERSION", 10_000)
    assert store.key("kind", a=1) != key


def test_the_least_recently_used_entry_leaves_first_and_alone(store):
    stored = 0
    while len(store.keys()) == stored < 20:
        stored += 1
        assert store.put(f"kind/{stored}", tenth(stored), {}) is None
        store.get("kind/1")
    assert stored > 4
    assert set(store.keys()) == {f"kind/{n}" for n in range(1, stored + 1)} - {"kind/2"}


def test_the_limit_holds_and_the_entry_just_written_stays(store):
    for number in range(30):
        key = f"kind/{number % 13}"
        assert store.put(key, tenth(number), {}) is None
        assert (store.get(key).arrays["a"] == number).all()
        assert used(store) <= LIMIT


def test_an_entry_stays_that_fills_what_the_index_leaves(tmp_path):
    store = Store.open(tmp_path, 40_000)
    for number in range(5):
        assert store.put(f"kind/{number}", {}, {"text": "x" * 9_000}) is None
        assert store.get(f"kind/{number}") is not None


@pytest.mark.parametrize("in_json", [False, True])
def test_a_value_above_a_quarter_of_the_limit_is_not_stored_and_evicts_nothing(store, in_json):
    store.put("kind/a", tenth(1), {})
    text, size = ("x" * (LIMIT // 4 + 1), 0) if in_json else ("", LIMIT // 4 + 1)
    note = store.put("kind/b", {"a": np.zeros(size, np.uint8)}, {"text": text})
    assert note is not None
    assert note.startswith("Shown but not stored") and "0.1 MiB" in note and "PATHSCOPE_STORE_BYTES" in note
    assert store.get("kind/b") is None and store.get("kind/a") is not None
    assert store.put("kind/b", {"a": np.zeros(LIMIT // 4 - 100, np.uint8)}, {}) is None


@pytest.mark.parametrize("prefix", ["PATHSCOPE_STORE", "PATHSCOPE_CACHE"])
def test_place_and_limit_come_from_the_environment_by_new_names_or_old(monkeypatch, tmp_path, prefix):
    monkeypatch.delenv("PATHSCOPE_STORE_DIR")
    monkeypatch.setenv(f"{prefix}_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv(f"{prefix}_BYTES", "1000000")
    store = Store.open()
    assert store.directory.parent == tmp_path / "elsewhere"
    assert store.limit_bytes == 1_000_000


def test_the_new_names_of_place_and_limit_come_first(monkeypatch, tmp_path):
    for prefix, value in (("PATHSCOPE_CACHE", "1"), ("PATHSCOPE_STORE", "2")):
        monkeypatch.setenv(f"{prefix}_DIR", str(tmp_path / value))
        monkeypatch.setenv(f"{prefix}_BYTES", value)
    store = Store.open()
    assert (store.directory.parent, store.limit_bytes) == (tmp_path / "2", 2)


def test_a_lock_excludes_threads_that_lock_the_same_key(store):
    inside: list[str] = []

    def enter(key: str) -> None:
        with store.lock(key):
            inside.append(key)

    with store.lock("kind/a"):
        threads = [threading.Thread(target=enter, args=(key,)) for key in ("kind/a", "kind/b")]
        for thread in threads:
            thread.start()
        threads[1].join()
        threads[0].join(0.3)
        assert inside == ["kind/b"]
    threads[0].join()
    assert inside == ["kind/b", "kind/a"]


def test_a_lock_is_let_go_when_its_holder_fails(store):
    with pytest.raises(ZeroDivisionError), store.lock("kind/a"):
        raise ZeroDivisionError
    with store.lock("kind/a"):
        pass


def test_opening_clears_locks_that_nobody_holds_and_no_others(store, tmp_path):
    with store.lock("kind/a"):
        pass
    with store.lock("kind/b"):
        again = Store.open(tmp_path / "store")
        assert len(list((store.directory / "locks").iterdir())) == 1
        entered: list[None] = []
        rival = threading.Thread(target=lambda: entered.append(again.lock("kind/b").__enter__()))
        rival.start()
        rival.join(0.3)
        assert not entered
    rival.join()


def test_the_disk_pickles_neither_keys_nor_values(tmp_path):
    disk = SafetensorsDisk(str(tmp_path))
    for value in ("text", 1, None, {"a": 1}, object()):
        with pytest.raises(TypeError):
            disk.store(value, read=False)
    for mode in (1, 3, 4):
        with pytest.raises(RefusedValue):
            disk.fetch(mode, None, b"", read=False)
    with pytest.raises(RefusedValue):
        disk.get(b"", raw=False)
    assert list(tmp_path.iterdir()) == []


def test_the_store_needs_neither_torch_nor_transformer_lens_nor_streamlit():
    code = "import sys, analysis.store; print({'torch', 'transformer_lens', 'streamlit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
