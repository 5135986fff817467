"""Values that came with a deployment are found under the store's own, and only read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.errors import PathscopeError
from analysis.store import Gallery, Store, computed_once, open_store

KEY = "result/" + "a" * 40
ARRAYS = {"x": np.arange(6.0).reshape(2, 3)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Gallery(tmp_path / "gallery").add(KEY, ARRAYS, {"said": "hello"})
    return tmp_path / "gallery"


def listed(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_what_was_put_in_is_found_by_its_key_and_by_no_other(folder):
    gallery = Gallery(folder)
    found = gallery.get(KEY)
    assert found is not None and found.values == {"said": "hello"} and len(gallery) == 1
    np.testing.assert_array_equal(found.arrays["x"], ARRAYS["x"])
    assert not found.arrays["x"].flags.writeable
    assert gallery.get("result/" + "b" * 40) is None


def test_a_store_looks_into_its_gallery_and_writes_beside_it(folder, tmp_path):
    before = listed(folder)
    store = Store.open(tmp_path / "store", 10**6, Gallery(folder))
    assert store.get(KEY) is not None
    assert store.put("result/" + "c" * 40, ARRAYS, {}) is None
    assert store.get("result/" + "c" * 40) is not None
    store.delete(KEY)
    assert store.get(KEY) is not None and listed(folder) == before


def test_a_result_of_the_gallery_is_not_computed(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("PATHSCOPE_GALLERY_DIR", str(folder))

    def compute():
        raise AssertionError("it came with the deployment")

    assert computed_once(open_store(), KEY, compute).from_store


def test_a_gallery_is_read_where_no_store_can_be(folder, tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert Store.open(tmp_path / "file" / "store", 10**6, Gallery(folder)).get(KEY) is not None


@pytest.mark.parametrize("spoil", [lambda b: b[:-1] + b"\xff", lambda b: b[:40], lambda b: b""])
def test_a_spoilt_file_is_no_value(folder, spoil):
    (file,) = folder.iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    assert Gallery(folder).get(KEY) is None


def test_a_file_under_the_key_of_another_is_no_value(folder):
    (file,) = folder.iterdir()
    file.rename(folder / file.name.replace("a" * 40, "d" * 40))
    assert Gallery(folder).get("result/" + "d" * 40) is None


def test_other_files_and_no_folder_at_all_are_an_empty_gallery(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / f"result-{'a' * 40}.{'0' * 16}.pickle").write_text("x")
    assert len(Gallery(tmp_path)) == len(Gallery(tmp_path / "absent")) == 0


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PathscopeError, match=r"Nothing can be written to '.*file/gallery'"):
        Gallery(tmp_path / "file" / "gallery").add(KEY, ARRAYS, {})
