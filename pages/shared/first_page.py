"""The page that a browser gets before anything is drawn: Streamlit's own, told what is coming.

Streamlit's client asks for each kind of element when it first draws one, and makes room for the sidebar when
the sidebar comes; meanwhile what stands on the page moves. So the page says at once which files it will need,
and keeps the places. It also says what it is, for whoever shows a link to it, and marks what is under the
pointer wherever else it is shown: asking the server at each move would take too long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path

from starlette.types import Message, Scope, Send
from streamlit.file_util import get_static_dir

from pages.shared.heights import HIGHEST, STEP, place_of

TITLE = "Pathscope"
DESCRIPTION = (
    "Which component wrote a language model's answer, which part told which later part, and which handful of "
    "paths is the mechanism: measured, in a browser."
)
#: The parts of Streamlit's client that nearly every page draws with; the names go on with a digest.
_DRAWN_WITH = (
    "PageLink Html Text Selectbox ButtonGroup TextArea TextInput Button ArrowVegaLiteChart embed "
    "vega-interpreter StreamlitMarkdown"
).split()
#: The font of the icons: before it is there, each icon is as wide as its name.
_ICONS = "MaterialSymbols-Rounded"
_STYLES, _SCRIPT = (Path(__file__).with_name(f"first_page.{kind}") for kind in ("css", "js"))
#: What asks for less than the whole text, and what says something of the file that is not what is sent.
_FOR_A_PART = (b"accept-encoding", b"range", b"if-none-match", b"if-modified-since")
_OF_THE_FILE = (b"content-length", b"etag", b"last-modified")


def prepared(scope: Scope, send: Send) -> Send:
    """`send`, which adds to the head of a page; `scope` then asks for the page as a whole, uncompressed."""
    accepted = dict(scope["headers"]).get(b"accept", b"")
    if scope["method"] != "GET" or b"text/html" not in accepted:
        return send
    scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _FOR_A_PART]
    beginning: list[Message] = []
    body = bytearray()

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and is_a_page(message):
            beginning.append(message)  # it tells a length that is not known yet
            return
        if not beginning:
            await send(message)
            return
        body.extend(message.get("body", b""))
        if not message.get("more_body", False):
            whole = with_our_head(body.decode()).encode()
            await send(_of_length(beginning[0], len(whole)))
            await send({"type": "http.response.body", "body": whole})

    return sent


def _of_length(message: Message, length: int) -> Message:
    kept = [pair for pair in message["headers"] if pair[0].lower() not in _OF_THE_FILE]
    return {**message, "headers": [*kept, (b"content-length", str(length).encode())]}


def is_a_page(message: Message) -> bool:
    """Whether an answer begins that brings a page, and not a file, a refusal or a redirection."""
    kinds = [value for name, value in message.get("headers", ()) if name.lower() == b"content-type"]
    return message["status"] == 200 and any(kind.startswith(b"text/html") for kind in kinds)


def with_our_head(page: str) -> str:
    """Streamlit's page, with our title and what our pages need in its head."""
    page = re.sub(r"<title>.*?</title>", f"<title>{TITLE}</title>", page, count=1)
    return page.replace("</head>", f"{_head()}</head>", 1)


@cache
def _head() -> str:
    described = escape(DESCRIPTION, quote=True)
    return "".join(
        (
            f'<meta name="description" content="{described}">',
            f'<meta property="og:title" content="{TITLE}">',
            f'<meta property="og:description" content="{described}">',
            *_needed(),
            f"<style>{_STYLES.read_text(encoding='utf-8')}{''.join(_places())}</style>",
            f"<script>{_SCRIPT.read_text(encoding='utf-8')}</script>",
        )
    )


def _places() -> Iterator[str]:
    """A rule for each height that `kept_place` may ask for."""
    for height in range(0, HIGHEST + 1, STEP):
        yield f'[class*="_{place_of(height)}"]{{min-height:{height}px}}'


def _needed() -> Iterator[str]:
    """A link for each file of the client that is needed soon, and is there in this release of Streamlit."""
    static = Path(get_static_dir(), "static")
    for name in _DRAWN_WITH:
        for file in static.glob(f"js/{name}.*.js"):
            yield f'<link rel="modulepreload" crossorigin href="./static/js/{file.name}">'
    for file in static.glob(f"media/{_ICONS}.*.woff2"):
        yield (
            f'<link rel="preload" as="font" type="font/woff2" crossorigin href="./static/media/{file.name}">'
        )
