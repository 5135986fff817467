"""What stands before every page: who is let in, what is taken, and how the server begins and ends."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import cli_util, config
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server import server_util
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from analysis import host, jobs
from analysis.errors import PathscopeError
from analysis.memory import share_arenas
from analysis.policy import policy
from analysis.settings import settings
from pages.shared import uploads
from pages.shared.address import LONGEST, TOO_LONG
from pages.shared.browser_name import naming
from pages.shared.connection import followed
from pages.shared.disclosure import without_places
from pages.shared.early import import_early
from pages.shared.first_page import prepared
from pages.shared.headers import guarded
from pages.shared.limits import address_of, paced, too_many
from pages.shared.log_lines import begin_lines
from pages.shared.sending import send_soon

#: Seconds after which the server ends, whatever still runs or whoever does not let go.
SECONDS_TO_END = 4
#: Asked by whatever watches over the server, by any name.
_WATCHED = ("/_stcore/health", "/ready")
_METRICS = "/_stcore/metrics"
_UPLOADS = "/_stcore/upload_file/"


def check_settings() -> None:
    """End the process with a sentence where a setting is wrong: better no server than one that only fails.

    Where strangers are served, the policy is in force from here on.
    """
    secrets_singleton.load_if_toml_exists()  # which also sets variables of the environment
    try:
        settings()
        if policy().hosted:
            host.begin_serving()
            _begin_hosting()
    except PathscopeError as error:
        sys.exit(f"Pathscope does not start. {error}")


def _begin_hosting() -> None:
    """Have Streamlit show strangers nothing of the server, whatever its own settings say."""
    begin_lines()
    config.set_option("client.showErrorDetails", "none")
    config.set_option("client.toolbarMode", "viewer")
    config.set_option("browser.gatherUsageStats", False)
    names = [name.strip() for name in settings().hosted_names.split(",") if name.strip()]
    config.set_option("server.allowedHosts", [*config.get_option("server.allowedHosts"), *names])


@asynccontextmanager
async def opened(_app: Any) -> AsyncIterator[None]:
    """What goes on while the server does: the browser is opened at its beginning, work stopped at its end."""
    _end_in_time()
    send_soon()
    # Else Streamlit 1.67 takes a folder named pages for an app of the old kind until the first
    # `st.navigation`, and the first page of a fresh server runs without app.py.
    PagesManager.uses_pages_directory = False
    share_arenas()
    import_early()
    if not config.get_option("server.headless"):
        address = server_util.get_url(config.get_option("browser.serverAddress"))
        asyncio.get_running_loop().call_soon(cli_util.open_browser, address)
    yield
    await asyncio.to_thread(jobs.stop_all)


def _end_in_time() -> None:
    """Have the system end the process some seconds after it was asked to, if it has not ended by then.

    It waits for every connection to be closed by the other side, and for running work; the system needs
    neither, nor Python's lock.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "alarm"):
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in (signal.SIGTERM, signal.SIGINT):
        graceful = signal.getsignal(number)

        def end(number: int, frame: FrameType | None, graceful: Any = graceful) -> None:
            signal.alarm(SECONDS_TO_END)
            if callable(graceful):
                graceful(number, frame)

        signal.signal(number, end)


async def robots(_request: Request) -> PlainTextResponse:
    """No page is for a search engine: each link is an experiment, and computing it costs."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


async def ready(_request: Request) -> PlainTextResponse:
    """Whether visitors can be served: 503 with what is missing where they cannot."""
    faults = await asyncio.to_thread(lambda: [*host.unready()])
    return PlainTextResponse(without_places(" ".join(faults)) or "ready", 503 if faults else 200)


class Door:
    """Refuses what Streamlit would take, each in a sentence."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request or a connection in, or answer it here."""
        if scope["type"] == "websocket":
            if (refused := await too_many(HTTPConnection(scope))) is not None:
                await refused(scope, receive, send)
                return
            receive, send = paced(receive, send)
            address = address_of(HTTPConnection(scope), policy().header)
            scope, send, end = followed(scope, address, send)
            try:
                await self._app(scope, _with_short_addresses(receive), send)
            finally:
                end()
            return
        if scope["type"] == "http":
            send = guarded(send) if policy().hosted else send
            if (refused := await _refusal(Request(scope))) is not None:
                # Else the server would read on what is sent along.
                refused.headers["Connection"] = "close"
                await refused(scope, receive, send)
                return
            send = prepared(scope, naming(scope, send))
        await self._app(scope, receive, send)


async def _refusal(request: Request) -> PlainTextResponse | None:
    """The answer to a request that is not let in."""
    if request.url.path in _WATCHED:
        return None
    if policy().hosted and request.url.path.startswith(_METRICS):
        return PlainTextResponse("Not found.", 404)
    if not is_host_allowed(request.headers.get("host")):
        return PlainTextResponse(_wrong_host(), 421)
    if (length := len(request.scope["query_string"])) > LONGEST:
        return PlainTextResponse(
            f"This address has {length:,} characters after the question mark, and at most {LONGEST:,} are "
            "read. Open the page without them, and fill in shorter prompts.",
            414,
        )
    return await too_many(request) or _refused_file(request)


def _wrong_host() -> str:
    allowed = ", ".join(config.get_option("server.allowedHosts"))
    return (
        f"This server answers by these names alone: {allowed}. Use one of them, or start it with "
        "--server.allowedHosts and the name that you want."
    )


def _refused_file(request: HTTPConnection) -> PlainTextResponse | None:
    if not request.url.path.startswith(_UPLOADS):
        return None
    session, _, file = request.url.path.removeprefix(_UPLOADS).partition("/")
    if request.scope["method"] == "DELETE":
        uploads.deleted(session, file)
    elif request.scope["method"] == "PUT" and (reason := uploads.refusal(session, file)) is not None:
        return PlainTextResponse(reason, 403)
    return None


def _with_short_addresses(receive: Receive) -> Receive:
    """`receive`, with its length in place of an address that is too long to be read.

    Streamlit 1.67 takes one above 512 KiB for none, and the page would be the default one without a word.
    """

    async def received() -> Message:
        message = await receive()
        data = message.get("bytes") or b""
        if len(data) > LONGEST:
            message["bytes"] = _shortened(data)
        return message

    return received


def _shortened(data: bytes) -> bytes:
    try:
        asked = BackMsg.FromString(data)
    except Exception:  # what is no message, Streamlit refuses itself
        return data
    if asked.WhichOneof("type") == "rerun_script" and len(asked.rerun_script.query_string) > LONGEST:
        asked.rerun_script.query_string = f"{TOO_LONG}={len(asked.rerun_script.query_string)}"
    return asked.SerializeToString()


MIDDLEWARE = (Middleware(Door),)
ROUTES = (Route("/robots.txt", robots), Route("/ready", ready))
