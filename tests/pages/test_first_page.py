"""The page that a browser gets first: Streamlit's own, with what our pages need in its head."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.file_util import get_static_dir

from pages.shared import first_page
from pages.shared.first_page import prepared, with_our_head
from tests.asynchronous import run

PAGE = "<html><head><title>Streamlit</title><script>1</script></head><body>é</body></html>"
BROWSER = [(b"accept", b"text/html,*/*"), (b"accept-encoding", b"gzip"), (b"if-none-match", b'"1"')]


def asked(
    app: ASGIApp, method: str = "GET", headers: list[tuple[bytes, bytes]] = BROWSER
) -> tuple[dict, bytes, Scope]:
    """The headers and the body that a browser gets of `app`, and what `app` was asked."""
    messages: list[dict] = []
    scope: Scope = {"type": "http", "method": method, "path": "/", "headers": list(headers)}

    async def ask() -> None:
        async def receive() -> dict:
            return {"type": "http.request"}

        async def send(message: dict) -> None:
            messages.append(message)

        await app(scope, receive, prepared(scope, send))

    run(ask())
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return dict(messages[0]["headers"]), body, scope


def test_a_page_says_what_it_is_and_is_as_long_as_it_says():
    headers, body, scope = asked(HTMLResponse(PAGE, headers={"etag": '"of the file"'}))
    text = body.decode()
    assert "<title>Pathscope</title>" in text
    assert (
        f'<meta property="og:description" content="{first_page.DESCRIPTION.replace(chr(39), "&#x27;")}">'
        in text
    )
    assert text.startswith("<html><head>") and text.endswith("</head><body>é</body></html>")
    assert headers[b"content-length"] == str(len(body)).encode()
    assert b"etag" not in headers
    assert [name for name, _ in scope["headers"]] == [b"accept"]


def test_a_page_that_comes_in_pieces_is_put_together():
    async def in_pieces(scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
        await send(start)
        await send({"type": "http.response.body", "body": PAGE[:30].encode(), "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[30:].encode()})

    assert asked(in_pieces)[1].decode() == with_our_head(PAGE)


@pytest.mark.parametrize(
    ("answer", "method", "accept"),
    [
        (PlainTextResponse(PAGE), "GET", b"text/html"),
        (HTMLResponse(PAGE, status_code=404), "GET", b"text/html"),
        (HTMLResponse(PAGE), "GET", b"application/json"),
        (HTMLResponse(PAGE), "POST", b"text/html"),
    ],
    ids=["no page", "a refusal", "not for a browser", "not read"],
)
def test_whatever_else_is_sent_stays_as_it_is(answer: Response, method: str, accept: bytes):
    headers, body, _ = asked(answer, method, [(b"accept", accept)])
    assert body.decode() == PAGE
    assert headers[b"content-length"] == str(len(body)).encode()


def test_each_file_that_is_asked_for_early_is_there_and_each_name_is_found():
    """A new release of Streamlit may call its files otherwise: then the names are to be looked up again."""
    static = Path(get_static_dir(), "static")
    for name in first_page._DRAWN_WITH:
        assert [*static.glob(f"js/{name}.*.js")], name
    head = with_our_head(Path(get_static_dir(), "index.html").read_text(encoding="utf-8"))
    files = [part.split('"')[0] for part in head.split('crossorigin href="./')[1:]]
    assert len(files) > len(first_page._DRAWN_WITH)
    assert all(Path(get_static_dir(), file).is_file() for file in files)


def test_a_place_of_each_height_has_its_rule():
    head = with_our_head(PAGE)
    for height in (0, 50, 100, 990):
        assert f'[class*="_{first_page.place_of(height)}"]{{min-height:{height}px}}' in head
