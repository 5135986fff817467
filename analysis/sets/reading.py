"""Prompt pairs from a table: CSV, TSV or JSON lines; broken rows are named and left out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analysis.errors import PathscopeError
from analysis.labels import counted, printable
from analysis.policy import policy
from analysis.results import MOST_PAIRS, PromptSet, TextPair

#: Bytes of a table that are read.
MOST_BYTES = 200_000
_COLUMNS = TextPair._fields
#: Characters of somebody's text that a sentence quotes.
_QUOTED = 40

#: A row's number, counted from 1 below the heading, and its cells or what is wrong with it.
_Row = tuple[int, dict[str, Any] | str]


@dataclass(frozen=True)
class TableRead:
    """The pairs of a table, and a sentence for each row that was left out."""

    pairs: tuple[TextPair, ...]
    left_out: tuple[str, ...]

    @property
    def prompt_set(self) -> PromptSet:
        """The pairs as a set. Raises `PathscopeError` where there are none."""
        return PromptSet(self.pairs)


def read_table(data: bytes | str, *, as_a_set: bool = True) -> TableRead:
    """The prompt pairs of a table with the columns clean, corrupted, answer and foil.

    JSON lines where the text begins with a brace, TSV where its first line has a tab, else CSV. Other columns
    are ignored, and every line break is a plain one. Rows are counted from 1, without the heading and empty
    ones. What is read `as_a_set` ends after `MOST_PAIRS`, or sooner where the policy says so. Raises
    `PathscopeError` for what is no such table, and for a set larger than `MOST_BYTES`.
    """
    if as_a_set:
        _check_size(data)
    text = _decoded(data)
    first = text.lstrip()[:1]
    if not first:
        raise PathscopeError(f"The table is empty. Give a heading {', '.join(_COLUMNS)} and a row per pair.")
    rows = _json_rows(text) if first == "{" else _separated_rows(text.lstrip("\r\n"))
    return _checked(rows, (policy().pairs or MOST_PAIRS) if as_a_set else None)


def fault_of_pair(pair: TextPair) -> str | None:
    """What is wrong with a pair on any model; None if nothing is."""
    most = policy().prompt_characters
    for column, text in zip(_COLUMNS, pair, strict=True):
        if not text.strip():
            return f"{column} is empty"
        if len(text) > most:
            return f"{column} has {len(text):,} characters, and at most {most:,} are read"
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            return f"{column} holds half of a surrogate pair, which is no text"
    if pair.clean == pair.corrupted:
        return "clean and corrupted are the same"
    return "answer and foil are the same" if pair.answer == pair.foil else None


def _check_size(data: bytes | str) -> None:
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise PathscopeError(
            f"The table has {size:,} bytes, and at most {MOST_BYTES:,} are read. Leave rows or columns out."
        )


def _decoded(data: bytes | str) -> str:
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise PathscopeError("The table is not UTF-8. Save it as CSV in UTF-8.") from error
    if "\0" in text:
        raise PathscopeError("The table holds a null character, so it is no text. Save it as CSV in UTF-8.")
    return text


def _separated_rows(text: str) -> Iterator[_Row]:
    """Rows of CSV or TSV. Not by pandas, which drops a row with a misplaced quote without a word."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first = text.partition("\n")[0]
    lines = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in first else ",", strict=True)
    heading = _next(lines)
    if not isinstance(heading, list):
        raise PathscopeError(f"The heading {printable(first, _QUOTED)!r} cannot be read: {heading}.")
    columns = [name.strip().lower() for name in heading]
    _check_columns(columns)
    number = 0
    while (cells := _next(lines)) is not None:
        number += bool(cells)
        if isinstance(cells, str):
            yield number, cells
        elif len(cells) == len(columns):
            yield number, dict(zip(columns, cells, strict=True))
        elif cells:
            given, wanted = counted(len(cells), "cell"), len(columns)
            yield number, f"it has {given} where the heading has {wanted}"


def _next(lines: Iterator[list[str]]) -> list[str] | str | None:
    """The next row, or what is wrong with it; None after the last."""
    try:
        return next(lines, None)
    except csv.Error as error:
        return f"{error}; put a text with quotes in double quotes, and double each quote in it"


def _json_rows(text: str) -> Iterator[_Row]:
    """Rows of JSON lines, one by one: pandas would refuse all for one that is broken."""
    lines = (line for line in text.split("\n") if line.strip())
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "it is no JSON"
            continue
        yield number, row if isinstance(row, dict) else "it is no JSON object"


def _check_columns(heading: list[str]) -> None:
    missing = [column for column in _COLUMNS if column not in heading]
    if missing or len(set(heading)) < len(heading):
        what = f"lacks {' and '.join(missing)}" if missing else "names a column twice"
        shown = printable(", ".join(heading), 2 * _QUOTED)
        raise PathscopeError(
            f"The heading {shown!r} {what}. Begin with a row {','.join(_COLUMNS)} (or the same with tabs)."
        )


def _checked(rows: Iterator[_Row], most: int | None) -> TableRead:
    pairs: dict[TextPair, int] = {}
    left_out, beyond = [], []
    for number, cells in rows:
        pair = cells if isinstance(cells, str) else _pair(cells)
        fault = pair if isinstance(pair, str) else fault_of_pair(pair)
        if isinstance(pair, str) or fault is not None:
            left_out.append(f"Row {number} is left out: {fault}.")
        elif pair in pairs:
            left_out.append(f"Row {number} is left out: it is row {pairs[pair]} again.")
        elif len(pairs) == most:
            beyond.append(number)
        else:
            pairs[pair] = number
    if beyond:
        left_out.append(
            f"{counted(len(beyond), 'row')} from row {beyond[0]} on "
            f"{'is' if len(beyond) == 1 else 'are'} left out: a set has at most {most} pairs."
        )
    return TableRead(tuple(pairs), tuple(left_out))


def _pair(cells: dict[str, Any]) -> TextPair | str:
    missing = [column for column in _COLUMNS if column not in cells]
    if missing:
        return f"it has no {' and no '.join(missing)}"
    wrong = next((column for column in _COLUMNS if not isinstance(cells[column], str)), None)
    if wrong is not None:
        return f"{wrong} is {printable(json.dumps(cells[wrong]), _QUOTED)} and must be a text"
    return TextPair(*(cells[column] for column in _COLUMNS))
