"""The history of a browser: bounded, known by a name alone, and the same when it is read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.errors import PathscopeError
from analysis.kept import (
    LONGEST_NAME,
    LONGEST_VIEW,
    MOST_ENTRIES,
    MOST_PINNED,
    Entry,
    change_history,
    looked_at,
    pinned,
    read_history,
    renamed,
    without,
)
from analysis.results import OverviewRequest, SanityRequest
from analysis.settings import settings
from analysis.store import open_store
from tests.experiments import on

ANN, BOB = "A" * 43, "B" * 43
PICTURE = np.array([[100, -50, -128]], dtype=np.int8)

pytestmark = pytest.mark.usefixtures("own_store")


def entry(clean: str = "a prompt", page: str = "Result", seen: float = 1.0, **others: object) -> Entry:
    return Entry.of(
        page,
        (OverviewRequest(on("demo", clean=clean)),),
        words={"clean": clean},
        sentence=f"Found in {clean}.",
        seen=seen,
        **others,
    )


def sentences(owner: str) -> list[str]:
    return [one.sentence for one in read_history(owner)]


def test_what_is_kept_comes_back_as_it_was():
    first, second = entry("one", picture=PICTURE), entry("two", page="Circuit", seen=2.5)
    change_history(ANN, looked_at(first))
    change_history(ANN, looked_at(second))
    newest, oldest = read_history(ANN)
    assert oldest.picture is not None and oldest.picture.tolist() == PICTURE.tolist()
    assert newest.picture is None
    for kept, given in ((newest, second), (oldest, first)):
        fields = vars(kept) | {"picture": None}
        assert fields == vars(given) | {"picture": None}
        assert kept.requests == given.requests and kept.number == given.number


def test_the_same_question_on_the_same_page_is_one_entry_that_moves_to_the_front():
    for seen, clean in enumerate(["one", "two", "one"]):
        change_history(ANN, looked_at(entry(clean, seen=float(seen))))
    assert [one.seen for one in read_history(ANN)] == [2.0, 1.0]
    other = (SanityRequest(on("demo", clean="one")),)
    assert entry("one").number != Entry.of("Result", other, words={}, sentence="", seen=0.0).number
    assert entry("one").number != entry("one", page="Circuit").number


def test_a_name_and_a_pin_stay_when_the_entry_is_looked_at_again():
    number = entry().number
    for edit in (looked_at(entry()), renamed(number, f"  {'x' * 100} "), pinned(number, True)):
        change_history(ANN, edit)
    change_history(ANN, looked_at(entry(seen=9.0)))
    (kept,) = read_history(ANN)
    assert (kept.name, kept.pinned, kept.seen) == ("x" * LONGEST_NAME, True, 9.0)


def test_of_too_many_the_one_that_was_not_seen_for_longest_and_is_not_pinned_leaves():
    change_history(ANN, looked_at(entry("0")))
    change_history(ANN, pinned(entry("0").number, True))
    for number in range(1, MOST_ENTRIES + 2):
        change_history(ANN, looked_at(entry(str(number))))
    found = sentences(ANN)
    assert len(found) == MOST_ENTRIES and "Found in 0." in found
    assert "Found in 1." not in found and "Found in 2." not in found and "Found in 3." in found


def test_so_many_may_be_pinned_that_there_is_room_for_what_comes():
    for number in range(MOST_PINNED + 1):
        change_history(ANN, looked_at(entry(str(number))))
    for number in range(MOST_PINNED):
        change_history(ANN, pinned(entry(str(number)).number, True))
    with pytest.raises(PathscopeError, match=f"{MOST_PINNED} results are pinned, the most that may be"):
        change_history(ANN, pinned(entry(str(MOST_PINNED)).number, True))
    assert MOST_PINNED < MOST_ENTRIES


def test_what_is_too_long_is_not_kept_and_a_sentence_is_cut():
    change_history(ANN, looked_at(entry("x" * LONGEST_VIEW)))
    assert read_history(ANN) == ()
    long = Entry.of("Result", (), words={}, sentence="x" * 10_000, seen=0.0)
    change_history(ANN, looked_at(long))
    assert len(sentences(ANN)[0]) < 1_000


def test_one_entry_is_deleted_or_all():
    for clean in ("one", "two", "three"):
        change_history(ANN, looked_at(entry(clean)))
    change_history(ANN, without(entry("two").number))
    assert sentences(ANN) == ["Found in three.", "Found in one."]
    change_history(ANN, without(None))
    assert read_history(ANN) == () and open_store().keys("history") == []


def test_a_history_is_found_by_its_name_alone_and_the_name_is_nowhere_in_the_store():
    change_history(ANN, looked_at(entry("hers")))
    change_history(BOB, looked_at(entry("his")))
    assert sentences(ANN) == ["Found in hers."] and sentences(BOB) == ["Found in his."]
    assert read_history("A" * 42 + "B") == ()
    for file in Path(settings().store_directory).rglob("*"):
        assert ANN not in file.name and (not file.is_file() or ANN.encode() not in file.read_bytes())


def test_questions_that_this_release_does_not_know_are_none():
    strange = Entry("Result", {}, '[{"kind": "OtherRequest"}]', "", 0.0)
    assert strange.requests == ()
    assert entry().requests == (OverviewRequest(on("demo", clean="a prompt")),)


def test_a_store_that_cannot_be_written_says_so(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("here is no folder")
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "file" / "store"))
    assert "not stored" in str(change_history(ANN, looked_at(entry())))
    assert read_history(ANN) == ()
