"""The page History: what was looked at stands there, and a click opens it without computing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from urllib.parse import parse_qsl

import numpy as np
import pytest
from PIL import Image
from starlette.types import Message
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from analysis import jobs
from analysis.charts import picture_of, thumbnail_png
from analysis.charts.thumbnail import NO_VALUE, SIDE
from analysis.demo_model.examples import EXAMPLES
from analysis.kept import LONGEST_NAME, Entry, change_history, looked_at, read_history
from analysis.requests import Experiment
from analysis.results import AllSourcesRequest, GraphRequest, LongRequest
from analysis.store import open_store
from pages.shared.browser_name import COOKIE, naming
from pages.shared.history import strongest_of
from pages.shared.keys import Key
from tests.asynchronous import run
from tests.charts.signed import warmth
from tests.jobs.watching import until
from tests.pages.looking import captions, small_print, texts, visit

ANN, BOB = "A" * 43, "B" * 43
FIRST = EXAMPLES[0]
EXPERIMENT = Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, " Helen")
PAGES = (
    "result",
    "direct_logit_attribution",
    "path_patching",
    "all_sources",
    "circuit",
    "prompt_set",
    "sanity_checks",
)
#: What pages wait for.
LONG: dict[str, LongRequest] = {
    "result": GraphRequest(EXPERIMENT),
    "all_sources": AllSourcesRequest(EXPERIMENT, "v"),
    "circuit": GraphRequest(EXPERIMENT),
}
Choose = Callable[[str | None], None]


@pytest.fixture
def seen_by(monkeypatch: pytest.MonkeyPatch, own_store: None) -> Choose:
    """Chooses the browser in which pages are seen; `ANN`'s until then, None for one without cookies."""

    def choose(name: str | None) -> None:
        monkeypatch.setattr(ContextProxy, "cookies", {} if name is None else {COOKIE: name})

    choose(ANN)
    return choose


def looked(page: str) -> AppTest:
    """A page of `EXPERIMENT`, when all it waits for is there."""
    app = visit(page, foil=EXPERIMENT.foil)
    if page in LONG:
        job = jobs.submit(LONG[page])
        until(lambda: job.finished)
        app.run()
    assert not app.exception
    return app


def links(app: AppTest) -> list[tuple[str, dict[str, str]]]:
    """Page and parameters behind each "Open"."""
    found = [link.proto for link in app.main.get("page_link")]
    return [(link.page, dict(parse_qsl(link.query_string, keep_blank_values=True))) for link in found]


def press(app: AppTest, what: str, entry: Entry) -> AppTest:
    app = app.button(key=f"{Key.HISTORY}_{what}_{entry.number}").click().run()
    assert not app.exception
    return app


def headings(app: AppTest) -> list[str]:
    return [heading.value for heading in app.main.header]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_has_found_stands_in_the_history_and_opens_without_a_model(
    seen_by: Choose, page: str, monkeypatch: pytest.MonkeyPatch
):
    looked(page)
    (entry,) = read_history(ANN)
    told = visit("history")
    assert not told.exception and entry.sentence in texts(told)
    assert "no longer in the store" not in small_print(told)
    assert headings(told) == ["Earlier in this browser"]
    assert len(told.main.get("image")) == (page != "sanity_checks")

    def no_model(*_: object, **__: object) -> None:
        raise AssertionError("something was computed")

    monkeypatch.setattr("analysis.answers.compute.compute", no_model)
    monkeypatch.setattr("analysis.models.loading.load", no_model)
    ((way, words),) = links(told)
    assert words == entry.words == {"foil": EXPERIMENT.foil}
    again = visit(way or "result", **words)
    assert not again.exception and again.title[0].value == entry.page
    assert entry.sentence in texts(again) or page == "sanity_checks"
    assert "Read from the store." in captions(again)


def test_what_is_no_longer_in_the_store_is_said_to_be_computed_anew(seen_by: Choose):
    looked("path_patching")
    for key in open_store().keys("result"):
        open_store().delete(key)
    assert "It is no longer in the store: opening it computes it anew" in small_print(visit("history"))


def test_this_visit_stands_apart_from_earlier_ones_and_what_is_pinned_first(seen_by: Choose):
    looked("direct_logit_attribution")
    app = looked("path_patching")
    app.switch_page("pages/history.py").run()
    assert headings(app) == ["This visit", "Earlier in this browser"]
    _, attribution = read_history(ANN)
    press(app, "pin", attribution)
    assert headings(app) == ["Pinned", "This visit"]
    press(app, "pin", attribution)
    assert headings(app) == ["This visit", "Earlier in this browser"]


def test_an_entry_is_renamed_and_its_name_is_plain_text(seen_by: Choose):
    looked("path_patching")
    (entry,) = read_history(ANN)
    app = visit("history")
    app.text_input(key=f"{Key.HISTORY}_name_{entry.number}").set_value("**Mine** ![x](https://example.org)")
    next(button for button in app.button if button.label == "Call it that").click().run()
    assert read_history(ANN)[0].name == "**Mine** ![x](https://example.org)"
    assert "**Mine** ![x](https://example.org)" in texts(app)
    assert not any("example.org" in element.value for element in (*app.markdown, *app.caption))
    field = app.text_input(key=f"{Key.HISTORY}_name_{entry.number}")
    assert field.proto.max_chars == LONGEST_NAME


def test_an_entry_is_deleted_and_so_are_all(seen_by: Choose):
    looked("direct_logit_attribution")
    looked("path_patching")
    app = visit("history")
    press(app, "delete", read_history(ANN)[0])
    assert [entry.page for entry in read_history(ANN)] == ["Direct logit attribution"]
    app.button(key=f"{Key.HISTORY}_clear").click().run()
    assert read_history(ANN) == () and "Nothing has been looked at yet." in texts(app)


def test_a_browser_sees_its_own_history_and_no_other(seen_by: Choose):
    looked("path_patching")
    seen_by(BOB)
    assert "Nothing has been looked at yet." in texts(visit("history"))
    seen_by("A" * 42)
    assert "Nothing has been looked at yet." in texts(visit("history")), "no name"


def test_without_cookies_the_history_is_that_of_the_visit(seen_by: Choose):
    seen_by(None)
    app = looked("path_patching")
    app.switch_page("pages/history.py").run()
    assert headings(app) == ["This visit"] and "this browser keeps no cookies" in captions(app)
    assert open_store().keys("history") == []
    assert "Nothing has been looked at yet." in texts(visit("history"))


def test_a_page_that_shows_the_same_again_writes_nothing(seen_by: Choose, monkeypatch):
    app = looked("path_patching")
    monkeypatch.setattr("pages.shared.history._changed", lambda _: pytest.fail("it was written again"))
    app.run()
    assert not app.exception


def test_what_cannot_be_done_at_a_press_is_told_once_by_the_run_that_follows(seen_by: Choose, monkeypatch):
    monkeypatch.setattr("analysis.kept.history.MOST_PINNED", 0)
    looked("path_patching")
    app, (entry,) = visit("history"), read_history(ANN)
    press(app, "pin", entry)
    assert texts(app).count("0 results are pinned, the most that may be. Unpin one first.") == 1
    assert "Unpin one first." not in texts(app.run())
    assert not read_history(ANN)[0].pinned


def test_many_entries_are_drawn_when_they_are_asked_for(seen_by: Choose):
    sample = Entry("Result", {}, "[]", "One of many.", 0.0)
    for number in range(15):
        change_history(ANN, looked_at(replace(sample, asked=f'[{{"kind": "Other{number}"}}]')))
    app = visit("history")
    assert texts(app).count("One of many.") == 12
    app.button(key=f"{Key.HISTORY_ALL}_button").click().run()
    assert texts(app).count("One of many.") == 15 and not app.exception


# The cookie.


def answered(kind: bytes, cookie: str = "", scheme: str = "http", method: str = "GET") -> dict[bytes, bytes]:
    """The headers with which a page leaves, whose browser sent `cookie`."""
    found: list[Message] = []

    async def send(message: Message) -> None:
        found.append(message)

    headers = [(b"host", b"localhost"), (b"cookie", f"{COOKIE}={cookie}".encode())]
    scope = {"type": "http", "method": method, "scheme": scheme, "path": "/", "query_string": b""}
    sent = naming(scope | {"headers": headers, "server": ("localhost", 80)}, send)
    run(sent({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}))
    return dict(found[0]["headers"])


def test_a_browser_gets_an_unguessable_name_that_no_script_and_no_other_site_reads():
    first, second = (answered(b"text/html; charset=utf-8")[b"set-cookie"].decode() for _ in range(2))
    assert first != second and len(first.partition(";")[0]) == len(COOKIE) + 44
    assert "HttpOnly" in first and "SameSite=Lax" in first and "Secure" not in first
    assert answered(b"text/html")[b"cache-control"] == b"no-store"
    assert b"Secure" in answered(b"text/html", scheme="https")[b"set-cookie"]


def test_a_name_is_kept_and_what_is_none_is_replaced():
    assert f"{COOKIE}={ANN};".encode() in answered(b"text/html", ANN)[b"set-cookie"]
    assert b"banana" not in answered(b"text/html", "banana")[b"set-cookie"]


def test_only_pages_carry_it():
    assert b"set-cookie" not in answered(b"application/javascript")
    assert b"set-cookie" not in answered(b"text/html", method="POST")


# The picture.


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture_has_the_colours_of_the_signs_of_its_values(theme):
    picture = picture_of(np.array([[2.0, -4.0], [np.nan, 0.0]]))
    assert picture.tolist() == [[50, -100], [NO_VALUE, 0]]
    image = Image.open(BytesIO(thumbnail_png(picture, theme)))
    size = image.width // 2
    colours = [[image.getpixel((x * size + 1, y * size + 1)) for x in (0, 1)] for y in (0, 1)]
    assert warmth(colours[0][0], theme) > 0 > warmth(colours[0][1], theme)
    assert warmth(colours[1][1], theme) == 0 and colours[1][0] != colours[1][1]


def test_a_large_picture_keeps_what_is_largest():
    values = np.zeros((3, 1_000))
    values[1, 777] = -5.0
    picture = picture_of(values)
    assert picture.shape == (3, SIDE) and np.count_nonzero(picture) == 1 and picture.min() == -100
    assert picture_of(np.zeros((1, 1))).tolist() == [[0]]


def test_of_a_source_the_strongest_path_is_shown_with_its_sign():
    values = np.full((2, 1, 2, 2), np.nan)
    values[0, 0, 1] = [0.5, -2.0]
    found = strongest_of(values)
    assert found[0, 0] == -2.0 and np.isnan(found[1, 0])
