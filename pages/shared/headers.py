"""What a server for strangers tells browsers to forbid."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from starlette.types import Message, Send
from streamlit.file_util import get_static_dir

from analysis.policy import policy
from pages.shared.first_page import with_our_head

#: A script that stands in the page itself; all others are files.
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def guarded(send: Send) -> Send:
    """`send`, with the headers in every answer."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = {name.encode(): value.encode() for name, value in security_headers().items()}
            others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in ours]
            message["headers"] = [*others, *ours.items()]
        await send(message)

    return sent


def security_headers() -> dict[str, str]:
    """Header -> value, by the policy at this call."""
    embedded = policy().embedded
    headers = {
        "content-security-policy": _content_policy(embedded),
        "x-content-type-options": "nosniff",
        # The address holds what was asked.
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "cross-origin-opener-policy": "same-origin",
    }
    return headers if embedded else headers | {"x-frame-options": "SAMEORIGIN"}


@cache
def _content_policy(embedded: bool) -> str:
    """Everything comes from this server; styles are written into the page, as Streamlit does."""
    page = with_our_head(Path(get_static_dir(), "index.html").read_text(encoding="utf-8"))
    digests = [hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(page)]
    scripts = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            f"frame-ancestors {'*' if embedded else chr(39) + 'self' + chr(39)}",
        )
    )
