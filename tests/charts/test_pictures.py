"""A picture may kill or hang the process that draws it, and never this one."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from analysis.charts import Layout, chart_png, chart_svg, path_chart, pictures, sentence_picture
from analysis.charts.pictures import AT_ONCE, draw
from analysis.errors import PictureError
from analysis.release import __version__
from pages.shared.shown_results import of_path
from pages.shared.take_along import figure
from tests.chart_samples import PROVENANCE, overview, path

NOT_DRAWN = r"^The picture could not be drawn: .*{}.* The CSV has the numbers\.$"


def spec(text: str = "text") -> dict[str, Any]:
    encoding = {"text": {"field": "text", "type": "nominal"}}
    return {"data": {"values": [{"text": text}]}, "mark": "text", "encoding": encoding}


def endless() -> dict[str, Any]:
    """A specification over which the converter sits for minutes: it measures each shortened label."""
    rows = [{"text": f"{number} a" + "\u0301" * 8000} for number in range(60)]
    axis = {"labelAngle": -45, "labelOverlap": True, "labelLimit": 110}
    encoding = {"x": {"field": "text", "type": "nominal", "axis": axis}}
    return {"data": {"values": rows}, "mark": "rect", "encoding": encoding}


def not_drawn(*words: str) -> Any:
    return pytest.raises(PictureError, match=NOT_DRAWN.format(".*".join(words)))


@pytest.fixture(autouse=True)
def _none_left() -> None:
    """No converter of another test is used, and none has its place."""
    pictures._close_all()
    assert pictures._places._value == AT_ONCE


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_a_text_that_ends_the_converter_is_a_sentence_and_the_next_picture_is_drawn(form: pictures.Form):
    with not_drawn("its process came to an end", "SIGABRT"):
        draw(spec("\x00"), form)
    assert draw(spec(), form)


def test_a_text_that_takes_minutes_is_given_up_and_its_process_killed(monkeypatch: pytest.MonkeyPatch):
    closed, close = [], pictures._Converter.close

    def recorded(converter: pictures._Converter) -> None:
        closed.append(converter)
        close(converter)

    monkeypatch.setattr(pictures._Converter, "close", recorded)
    with not_drawn("it took more than 2 s and was given up"):
        draw(endless(), "png", seconds=2)
    # Left alone, it would have gone on until its own alarm.
    assert [one._process.returncode for one in closed] == [-signal.SIGKILL]
    assert draw(spec(), "svg")


def test_what_the_converter_refuses_is_a_sentence_and_the_converter_stays():
    draw(spec(), "svg")
    (before,) = pictures._idle
    with not_drawn("Vega-Lite"):
        draw({"mark": "no such mark"}, "svg")
    assert pictures._idle == [before]


def test_one_process_draws_one_picture_after_the_other():
    for _ in range(3):
        draw(spec(), "svg")
    (converter,) = pictures._idle
    assert converter.alive


def test_a_converter_that_ended_while_it_waited_is_replaced():
    draw(spec(), "svg")
    process = pictures._idle[0]._process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert draw(spec(), "svg")


def test_only_so_many_are_drawn_at_once_and_each_gets_its_own():
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda number: draw(spec(f"number {number}"), "svg"), range(24)))
    assert all(f"number {number}<".encode() in svg for number, svg in enumerate(drawn))
    assert 1 <= len(pictures._idle) <= AT_ONCE


def test_who_waits_too_long_for_a_turn_is_told_so():
    for _ in range(AT_ONCE):
        pictures._places.acquire()
    try:
        with not_drawn("others are being drawn", "try again"):
            draw(spec(), "svg", seconds=0.01)
    finally:
        pictures._places.release(AT_ONCE)


@pytest.mark.parametrize(
    "script", ["", "raise SystemExit(3)", "print('x' * 4)", "import time; time.sleep(1000)"]
)
def test_a_process_that_does_not_draw_is_a_sentence(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "converter.py").write_text(script)
    monkeypatch.setattr(pictures, "_SCRIPT", tmp_path / "converter.py")
    with not_drawn(""):
        draw(spec(), "svg", seconds=5)
    assert not pictures._idle


def test_without_an_interpreter_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures.sys, "executable", "/no/such/python")
    with not_drawn("its process could not be started"):
        draw(spec(), "svg")


def test_the_converter_ends_itself_when_nobody_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "LIMIT", -4.0)
    with not_drawn("SIGALRM"):
        draw(endless(), "png")


def test_the_converter_ends_with_whoever_asked():
    draw(spec(), "svg")
    process = pictures._idle.pop()._process
    assert process.stdin and process.stdout
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    process.stdout.close()


def test_data_are_read_from_no_address():
    with not_drawn("not allowed"):
        draw({"data": {"url": "http://127.0.0.1:9/x.csv"}, "mark": "bar"}, "svg")


def test_a_sentence_is_drawn_in_place_of_a_picture():
    assert b">It is so.<" in sentence_picture("It is so.", "svg", "light")
    assert sentence_picture("It is so.", "png", "dark").startswith(b"\x89PNG")


# What a visitor gets


def buttons() -> dict[str, Any]:
    """What each download button of a figure would send, by its label."""
    shown = of_path(path(), "effect")
    forms: tuple[pictures.Form, ...] = ("png", "svg", "pdf")
    return {form.upper(): figure(shown, form, Layout()) for form in forms}


def test_of_a_picture_that_cannot_be_drawn_a_visitor_gets_the_sentence(monkeypatch: pytest.MonkeyPatch):
    made = buttons()
    usual = {label: make() for label, make in made.items()}
    assert usual["PNG"].startswith(b"\x89PNG") and "<svg" in usual["SVG"]
    assert usual["PDF"].startswith(b"%PDF")

    def dies_of_a_chart(spec: dict[str, Any], form: pictures.Form) -> bytes:
        return draw(spec | ({"description": "\x00", "title": "\x00"} if "datasets" in spec else {}), form)

    monkeypatch.setattr("analysis.charts.export.draw", dies_of_a_chart)
    assert b"The picture could not be drawn" in made["SVG"]() and b"The CSV has the numbers" in made["SVG"]()
    for label, start in {"PNG": b"\x89PNG", "PDF": b"%PDF"}.items():
        assert made[label]().startswith(start) and made[label]() != usual[label]


ORIGIN = replace(overview(), provenance=replace(PROVENANCE, model="/home/ann/one\ntwo\u202e")).origin()


def test_a_picture_has_a_line_on_where_it_comes_from_and_the_file_tells_all():
    svg = chart_svg(path_chart(path()), "light", ORIGIN)
    told = re.search("<metadata>(.*)</metadata>", svg, re.DOTALL)
    assert told and all(f"{label}: " in unescape(told[1]) for label in ORIGIN)
    with Image.open(BytesIO(chart_png(path_chart(path()), "dark", ORIGIN))) as image:
        assert set(ORIGIN) <= set(image.info) and image.info["engine"] == ORIGIN["engine"]
    assert f"Pathscope {__version__}, one⏎two" in svg and "request" not in svg.replace(told[0], "")


def test_no_path_of_the_machine_leaves():
    svg = chart_svg(path_chart(path()), "light", ORIGIN)
    assert "/home/ann" not in svg + "".join(ORIGIN.values())
