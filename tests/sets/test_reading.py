"""Tables of prompt pairs: every form is read as it is, and a broken row is named and left out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import PathscopeError
from analysis.results import MOST_PAIRS, PromptSet, TextPair
from analysis.sets import MOST_BYTES, read_table

PAIRS = (
    TextPair('She said "no", and', "He said\nno, and", " NA", " null"),
    TextPair("a\tb", "a c", " é", " 😀"),
)
HEADING = "clean,corrupted,answer,foil\n"


def as_csv(pairs, separator: str = ",") -> str:
    quoted = (separator.join('"' + text.replace('"', '""') + '"' for text in pair) for pair in pairs)
    return "\n".join([separator.join(TextPair._fields), *quoted])


def as_json(pairs) -> str:
    return "\n".join(json.dumps(pair._asdict()) for pair in pairs)


@pytest.mark.parametrize(
    "text", [as_csv(PAIRS), as_csv(PAIRS, "\t"), as_json(PAIRS)], ids=["CSV", "TSV", "JSON"]
)
@pytest.mark.parametrize(
    "prepared", [str, lambda text: text.encode(), lambda text: b"\xef\xbb\xbf" + text.encode()]
)
def test_every_form_gives_the_very_texts(text, prepared):
    assert read_table(prepared(text)) == read_table(text)
    assert read_table(text).pairs == PAIRS and read_table(text).left_out == ()


TEXTS = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1, max_size=9)


@given(st.lists(TEXTS.filter(str.strip), min_size=4, max_size=4, unique=True))
def test_any_text_survives_a_table(texts):
    pair = TextPair(*texts)
    assert read_table(as_csv([pair])).pairs == read_table(as_json([pair])).pairs == (pair,)


def test_no_row_is_lost_without_a_word_for_a_quote_in_the_wrong_place():
    read = read_table(f'{HEADING}one,two, x, y\n"a"b,c, x, y\nthree,four, x, y\n"five,six, x, y\nseven,')
    assert [pair.clean for pair in read.pairs] == ["one", "three"]
    assert [sentence[:17] for sentence in read.left_out] == ["Row 2 is left out", "Row 4 is left out"]
    assert all("double each quote" in sentence for sentence in read.left_out)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_are_line_ends(end):
    assert read_table(as_csv(PAIRS).replace("\n", end)).pairs == PAIRS


def test_columns_may_stand_in_any_order_beside_others():
    read = read_table('note,foil,"Answer",clean , corrupted\nx, y, z,one,two\n')
    assert read.pairs == (TextPair("one", "two", " z", " y"),)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,b, x", "it has 3 cells where the heading has 4"),
        ("a,b, x, y,z,z", "it has 6 cells where the heading has 4"),
        (",b, x, y", "clean is empty"),
        ("a,b, x,  ", "foil is empty"),
        ("a,a, x, y", "clean and corrupted are the same"),
        ("a,b, x, x", "answer and foil are the same"),
        ("one,two, x, y", "it is row 1 again"),
        ("a" * 20_000 + ",b, x, y", "clean has 20,000 characters, and at most 10,240 are read"),
    ],
)
def test_a_broken_row_is_named_by_its_number_and_left_out(row, reason):
    read = read_table(f"{HEADING}one,two, x, y\n\n{row}\nthree,four, x, y\n")
    assert read.left_out == (f"Row 2 is left out: {reason}.",)
    assert [pair.clean for pair in read.pairs] == ["one", "three"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "it is no JSON"),
        ("[" * 50_000, "it is no JSON"),
        ("[1]", "it is no JSON object"),
        ('{"clean": "a", "foil": " y"}', "it has no corrupted and no answer"),
        ('{"clean": "a", "corrupted": 7, "answer": " x", "foil": " y"}', "corrupted is 7 and must be a text"),
        ('{"clean": "\\ud800", "corrupted": "a", "answer": " x", "foil": " y"}',
         "clean holds half of a surrogate pair, which is no text"),
    ],
)  # fmt: skip
def test_a_broken_line_of_json_is_named_by_its_number_and_left_out(line, reason):
    read = read_table(f"{as_json(PAIRS[:1])}\n\n{line}\n{as_json(PAIRS[1:])}")
    assert read.left_out == (f"Row 2 is left out: {reason}.",)
    assert read.pairs == PAIRS


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "The table is empty. Give a heading clean, corrupted, answer, foil"),
        (" \n ", "The table is empty"),
        ("clean,answer\na, x\n", "lacks corrupted and foil. Begin with a row clean,corrupted,answer,foil"),
        ("clean,clean,corrupted,answer,foil\n", "names a column twice"),
        ('clean,"corrupted"x,answer,foil\n', "heading .* cannot be read: .*double each quote"),
        (b"\xff\xfe", "not UTF-8"),
        (f"{HEADING}a\0,b, x, y\n", "null character"),
        ("x" * (MOST_BYTES + 1), "has 200,001 bytes, and at most 200,000 are read"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(table, said):
    with pytest.raises(PathscopeError, match=said):
        read_table(table)


def test_a_table_without_a_whole_row_is_no_set():
    with pytest.raises(PathscopeError, match="1 to 64 pairs, and this one would have 0 pairs"):
        _ = read_table(f"{HEADING}a,b, x\n").prompt_set


def test_rows_beyond_the_largest_set_are_told():
    rows = "".join(f"a{number},b, x, y\n" for number in range(MOST_PAIRS + 3))
    read = read_table(HEADING + rows)
    assert len(read.prompt_set) == MOST_PAIRS
    assert read.left_out == ("3 rows from row 65 on are left out: a set has at most 64 pairs.",)
    with pytest.raises(PathscopeError, match="65 pairs"):
        PromptSet((*read.pairs, PAIRS[0]))


def test_the_digest_is_of_the_pairs_and_their_order():
    assert PromptSet(PAIRS).digest == PromptSet(tuple(PAIRS)).digest != PromptSet(PAIRS[::-1]).digest
    assert PromptSet(PAIRS).experiments("demo")[1].clean == "a\tb"
