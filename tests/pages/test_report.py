"""A report is read by a parser of HTML: every number is the page's, nothing runs, and nothing is fetched."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from analysis.errors import PathscopeError
from analysis.exports import Report, Section, report_html
from analysis.exports.report import MOST_ROWS
from analysis.labels import number
from analysis.requests import Experiment
from analysis.results import OverviewRequest, SanityRequest
from pages.shared import report
from pages.shared.report import report_of
from pages.shared.shown_results import of_overview
from tests.hostile import HOSTILE
from tests.pages.showing import EXPERIMENT, SHOWN, ask

LINK = "http://localhost:8501/path_patching?source_layer=0&clean=%22%3E%3Cscript%3E"
#: Elements that run, fetch or hold something of their own.
ACTIVE = {
    "script",
    "iframe",
    "object",
    "embed",
    "link",
    "img",
    "image",
    "audio",
    "video",
    "form",
    "base",
    "use",
}


class Reading(HTMLParser):
    """The texts of an HTML file by element, its tables cell by cell, and all of its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[tuple[str, str | None]]]] = {}
        self.texts: dict[str, list[str]] = {}
        self.columns: dict[str, list[str]] = {}
        self._open: list[str] = []
        self._table = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        self.elements.append((tag, held))
        if tag not in ("meta", "br"):
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")
        if tag == "table":
            self._table = held["data-of"] or ""
            self.tables[self._table], self.columns[self._table] = [], []
        elif tag == "tr" and "tbody" in self._open:
            self.tables[self._table].append([])
        elif tag == "td":
            self.tables[self._table][-1].append(("", None))
        elif tag == "data":
            self.tables[self._table][-1][-1] = ("", held["value"])

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open:
            return
        for tag in set(self._open):
            self.texts[tag][-1] += data
        if "td" in self._open:
            shown, value = self.tables[self._table][-1][-1]
            self.tables[self._table][-1][-1] = (shown + data, value)
        elif "th" in self._open:
            self.columns[self._table].append(data)


@pytest.fixture(scope="module")
def reports() -> dict[str, str]:
    """The report of each kind that is shown."""
    ask(SanityRequest(EXPERIMENT))
    return {kind: report_of(make(), LINK, None) for kind, make in SHOWN.items()}


def harmless(read: Reading, link: str = "") -> None:
    """Nothing of it runs, and no browser asks anybody for anything."""
    assert not {tag for tag, _ in read.elements} & ACTIVE
    for tag, attributes in read.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "action", "data", "poster", "srcset", "background"):
                assert (tag, value) == ("a", link)
            if tag != "a" and name not in ("aria-label", "aria-roledescription"):
                assert "//" not in (value or ""), (tag, name, value)
                assert not re.search(r"url\((?!#)", value or "")
    (style,) = read.texts["style"]
    assert "url(" not in style and "@import" not in style
    policies = [held["content"] for tag, held in read.elements if held.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def same_numbers(rows: list[list[tuple[str, str | None]]], table: pd.DataFrame) -> None:
    assert len(rows) == min(len(table), MOST_ROWS) > 0
    for row, own in zip(rows, table.itertuples(index=False, name=None), strict=False):
        for (shown, value), cell in zip(row, own, strict=True):
            plain = getattr(cell, "item", lambda cell=cell: cell)()
            if isinstance(plain, bool):
                assert (shown, value) == ("yes" if plain else "no", None)
            elif isinstance(plain, float) and plain != plain:
                assert (shown, value) == ("not defined", None)
            elif isinstance(plain, int | float):
                assert float(value or "nan") == plain
                assert float(shown.replace("\N{MINUS SIGN}", "-")) == pytest.approx(plain, rel=1e-5)
            else:
                assert value is None


@pytest.mark.parametrize("kind", SHOWN)
def test_every_number_in_a_report_is_that_of_the_page(reports, kind: str):
    read, shown = Reading(reports[kind]), SHOWN[kind]()
    same_numbers(read.tables[shown.name], shown.table)
    assert read.columns[shown.name] == list(shown.table.columns)
    for other in ("overview", "strongest paths", "sanity checks"):
        own = SHOWN[other]()
        if own.name != shown.name:
            same_numbers(read.tables[own.name], own.table)


@pytest.mark.parametrize("kind", SHOWN)
def test_a_report_runs_and_fetches_nothing(reports, kind: str):
    read = Reading(reports[kind])
    harmless(read, LINK)
    assert ("a", LINK) in [(tag, held.get("href")) for tag, held in read.elements]


@pytest.mark.parametrize("kind", SHOWN)
def test_a_report_holds_what_it_is_about(reports, kind: str):
    read, shown = Reading(reports[kind]), SHOWN[kind]()
    said = " ".join(read.texts["p"])
    for text in (shown.sentence, shown.measured, repr(EXPERIMENT.clean), repr(EXPERIMENT.foil), "Model demo"):
        assert text in said
    assert [row[3][0] for row in read.tables["pair"]].count("≠") == 1
    assert read.texts["h1"] == [shown.title]
    told = {row[0][0]: row[1][0] for row in read.tables[f"{shown.name}_origin"]}
    assert told == shown.told.origin()
    assert {"attribution_node", "strongest_paths", "result"} <= read.tables.keys()
    (script,) = read.texts["pre"]
    assert script.strip() == shown.codes(lambda here: here)[0].script().strip()


def test_a_report_has_pictures_with_their_numbers_and_their_names_apart(reports):
    read = Reading(reports["path"])
    pictures = [held for tag, held in read.elements if tag == "svg"]
    assert len(pictures) == 3 and all("viewbox" in held for held in pictures)
    names = [held["id"] for _, held in read.elements if "id" in held]
    assert names and len(set(names)) == len(names)
    used = {
        found
        for _, held in read.elements
        for value in held.values()
        for found in re.findall(r"url\(#([^)]+)\)", value or "")
    }
    assert used and used <= set(names)
    drawn = {number(value, "+.1f") for value in SHOWN["path"]().table["effect"]}
    assert drawn & {text.strip() for text in read.texts["text"]}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_stands_in_a_prompt_stays_a_text(text: str):
    kept = text.encode("utf-8", "backslashreplace").decode()
    frame = pd.DataFrame({kept: [kept, "a"], "number": [1.5, float("nan")]})
    sections = (Section("hostile", text, (text,), frame=frame, script=repr(text)),)
    read = Reading(report_html(Report(text, (text, "</p><script>"), sections, text)))
    harmless(read)
    assert repr(text) in read.texts["pre"][0]


def test_a_hostile_prompt_is_reported_as_what_it_is():
    attack = (
        '</pre></td>"><script src=http://x.example/y.js></script><img src=x onerror=alert(1)> & {{ 7*7 }} to'
    )
    hostile = Experiment("demo", f"Mary {attack}", f"John {attack}", " Mary", " John")
    shown = of_overview(ask(OverviewRequest(hostile)))
    read = Reading(report_of(shown, "javascript:alert(1)", None))
    harmless(read)
    assert attack in " ".join(read.texts["p"]) and attack in read.texts["pre"][0]
    request = json.loads({row[0][0]: row[1][0] for row in read.tables["result_origin"]}["request"])
    assert request["experiment"]["clean"] == hostile.clean


def test_of_a_model_in_a_folder_no_path_leaves(folder):
    asked = Experiment(str(folder), " a b c d e f", " a b x d y f", " g", " h")
    text = report_of(of_overview(ask(OverviewRequest(asked))), "", None)
    assert str(folder) not in text and str(folder.parent) not in text and "/tmp" not in text
    assert "Model model." in text and "no link to this view" in text


def test_what_cannot_be_had_is_said_in_the_report(monkeypatch: pytest.MonkeyPatch):
    def refuse(request: Any) -> Any:
        raise PathscopeError("This <b>model</b> has none.")

    shown = replace(SHOWN["path"](), name="elsewhere")
    monkeypatch.setattr(report, "answer", refuse)
    read = Reading(report_of(shown, LINK, None))
    assert " ".join(read.texts["p"]).count("This <b>model</b> has none.") == 3
    same_numbers(read.tables["elsewhere"], shown.table)


def test_a_picture_that_cannot_be_drawn_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    from analysis.charts.pictures import _not_drawn

    def dies(spec: Any, form: Any) -> bytes:
        raise _not_drawn("it died")

    monkeypatch.setattr("analysis.charts.export.draw", dies)
    read = Reading(report_of(SHOWN["path"](), LINK, None))
    assert "The picture could not be drawn: it died" in " ".join(read.texts["p"]) and "svg" not in read.texts
