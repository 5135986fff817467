"""What a page knows of its connection, and when all of a page has left by it."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from starlette.types import Message
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.testing.v1 import AppTest

from analysis.answers import places
from analysis.policy import OWN_MACHINE
from pages.shared.connection import ADDRESS, CONNECTION, ends_a_page, followed, when_sent
from tests.asynchronous import run
from tests.pages.looking import ROOT

FORGED = [(b"host", b"localhost"), (b"X-Pathscope-Address", b"6.6.6.6"), (CONNECTION.encode(), b"mine")]


async def nowhere(message: Message) -> None:
    """Sends nothing."""


def opened() -> tuple[dict[bytes, bytes], Any, Any]:
    scope, send, end = followed({"type": "websocket", "headers": FORGED}, "1.2.3.4", nowhere)
    return dict(scope["headers"]), send, end


def message(kind: str) -> dict[str, Any]:
    made = ForwardMsg()
    if kind == "end":
        made.script_finished = ForwardMsg.FINISHED_SUCCESSFULLY
    else:
        made.delta.new_element.text.body = "a text"
    return {"type": "websocket.send", "bytes": made.SerializeToString()}


def test_the_door_alone_says_where_a_page_comes_from():
    headers, _, end = opened()
    assert headers.keys() == {b"host", ADDRESS.encode(), CONNECTION.encode()}
    assert headers[ADDRESS.encode()] == b"1.2.3.4" and headers[CONNECTION.encode()] != b"mine"
    end()


def test_a_page_has_been_sent_with_the_message_at_its_end():
    headers, send, end = opened()
    name, called = headers[CONNECTION.encode()].decode(), []
    when_sent(name, lambda: called.append("sent"))
    run(send(message("text")))
    run(send({"type": "websocket.close", "code": 1000}))
    assert called == []
    run(send(message("end")))
    assert called == ["sent"]
    run(send(message("end")))
    end()
    assert called == ["sent"], "once"


@pytest.mark.parametrize("last", ["end of the connection", "no connection"])
def test_where_nobody_is_there_nothing_is_waited_for(last):
    headers, send, end = opened()
    name, called = headers[CONNECTION.encode()].decode(), []
    if last == "no connection":
        end()
    when_sent(name, lambda: called.append("over"))
    if last != "no connection":
        assert called == []
        end()
    assert called == ["over"]
    run(send(message("end")))  # what was under way when the visitor left
    when_sent(None, lambda: called.append("at once"))
    assert called == ["over", "at once"]


def test_the_message_at_the_end_is_short():
    data = message("end")["bytes"]
    assert ends_a_page(data) and len(data) < 50
    assert not ends_a_page(message("text")["bytes"]) and not ends_a_page(b"")


PAGE = """
import streamlit as st
from pages.shared.turn import turn
with turn():
    st.title("a page")
"""


def test_a_page_is_drawn_in_its_turn_and_gives_its_place_back(hosted):
    app = AppTest.from_string(PAGE).run()
    assert not app.exception and [title.value for title in app.title] == ["a page"]
    assert not places._drawing._inside and not places._drawing._waiting


def test_where_too_many_wait_that_is_all_the_page_says(hosted, monkeypatch):
    monkeypatch.setattr(places, "MOST_WAITING", 0)
    app = AppTest.from_string(PAGE).run()
    assert not app.exception and not app.title
    (told,) = (text.value for text in app.text)
    assert told.startswith("This server is busy: 0 pages wait for a turn") and told.endswith(OWN_MACHINE)


def test_app_draws_each_page_in_its_turn():
    tree = ast.parse((ROOT / "app.py").read_text(encoding="utf-8"))
    guarded = [block for block in ast.walk(tree) if isinstance(block, ast.With)]
    assert [ast.unparse(block) for block in guarded] == ["with turn():\n    draw_sidebar()\n    page.run()"]
