"""The name by which a browser finds its own history again: a random one, in a cookie.

No script reads it, no other site is sent it, and it says nothing but which browser this is.
"""

from __future__ import annotations

import re
import secrets

import streamlit as st
from starlette.requests import Request
from starlette.types import Message, Scope, Send

from pages.shared.first_page import is_a_page

COOKIE = "pathscope_browser"
#: Days after which a browser that has not been here is not known any more.
DAYS = 180
#: Bytes of chance: nobody finds another's name by trying.
_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9_-]{43}")


def browser_name() -> str | None:
    """The name of the browser in which the page is seen; None where it keeps no cookies."""
    return _sound(st.context.cookies.get(COOKIE))


def naming(scope: Scope, send: Send) -> Send:
    """`send`, which gives the browser that asks for a page a name, or lets it keep the one that it has."""
    if scope["method"] != "GET":
        return send
    request = Request(scope)
    name = _sound(request.cookies.get(COOKIE)) or secrets.token_urlsafe(_BYTES)
    secure = "; Secure" if request.url.scheme == "https" else ""
    cookie = f"{COOKIE}={name}; Max-Age={DAYS * 86_400}; Path=/; HttpOnly; SameSite=Lax{secure}"

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and is_a_page(message):
            # Kept by nothing on the way: what is kept there, others get, too.
            others = [pair for pair in message["headers"] if pair[0].lower() != b"cache-control"]
            ours = [(b"set-cookie", cookie.encode()), (b"cache-control", b"no-store")]
            message["headers"] = [*others, *ours]
        await send(message)

    return sent


def _sound(name: object) -> str | None:
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None
