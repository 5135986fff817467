"""Views behind short links: the same words, the same name; what is no name brings nothing."""

from __future__ import annotations

import pytest

from analysis.errors import PathscopeError
from analysis.kept import keep_view, read_view
from analysis.store import open_store

pytestmark = pytest.mark.usefixtures("own_store")


def test_a_view_comes_back_by_its_name_which_is_that_of_its_words():
    words = {"clean": "a & b", "foil": " ü"}
    name = keep_view(words)
    assert len(name) == 40 and keep_view(dict(reversed(words.items()))) == name
    assert read_view(name) == words
    assert keep_view(words | {"foil": " u"}) != name


@pytest.mark.parametrize("name", ["", "0" * 40, "../result", "x" * 40, "0" * 10_000])
def test_what_is_no_view_brings_nothing(name: str):
    keep_view({"clean": "a"})
    assert read_view(name) is None


def test_nothing_else_of_the_store_is_read_by_such_a_name():
    store = open_store()
    key = store.key("history", owner="ann")
    store.put(key, {}, {"words": {"clean": "secret"}})
    assert read_view(key.partition("/")[2]) is None


def test_a_store_that_cannot_keep_it_says_so(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("here is no folder")
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "file" / "store"))
    with pytest.raises(PathscopeError, match="not stored"):
        keep_view({"clean": "a"})
