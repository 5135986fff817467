"""What stands before the pages: who is let in, what is taken, how a server begins and how it ends."""

from __future__ import annotations

import asyncio
import http.client
import signal
import socket
import subprocess
import tomllib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.types import Message
from streamlit.file_util import get_static_dir
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from analysis import jobs
from analysis.demo_model.examples import EXAMPLES
from pages.shared import door, uploads
from pages.shared.address import LONGEST
from pages.shared.keys import Key
from tests.asynchronous import run
from tests.pages.test_notes import notes
from tests.soak.server import ROOT, START, Server, serve

FIRST = EXAMPLES[0]
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
#: The largest file of Streamlit's own, more than a connection holds of what is not read.
LARGEST = max(Path(get_static_dir()).rglob("*.*"), key=lambda file: file.stat().st_size)
#: What a client begins and never ends.
UNENDED = {
    "a request without an end": b"GET / HTTP/1.1\r\nHost: localhost\r\n",
    "an answer that is not read": (
        f"GET /{LARGEST.relative_to(get_static_dir())} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 20
    ),
    "a connection that never answers": "\r\n".join(
        ["GET /_stcore/stream HTTP/1.1", "Host: localhost", *map(": ".join, UPGRADE.items()), "", ""]
    ).encode(),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("door"), {"PATHSCOPE_WORKER": "3"}) as running:
        yield running


def answer(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request(method, path, headers=headers)
        with connection.getresponse() as response:
            return response.status, "" if response.status == 101 else response.read().decode()


def rerun(query: str) -> bytes:
    message = BackMsg()
    message.rerun_script.query_string = query
    return message.SerializeToString()


def test_only_this_machine_is_served(server):
    listening = [c.laddr.ip for c in server.process.net_connections() if c.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8501", "127.0.0.1.evil.example", "10.0.0.1"])
def test_a_foreign_host_is_refused_though_its_origin_is_the_same(server, host):
    origin = f"http://{host}"
    assert answer(server, "/_stcore/stream", Host=host, Origin=origin, **UPGRADE)[0] == 403
    status, told = answer(server, "/", Host=host, Origin=origin)
    assert status == 421
    assert "localhost, 127.0.0.1, ::1" in told and "--server.allowedHosts" in told


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8501", "[::1]:8501"])
def test_this_machines_own_names_are_let_in(server, host):
    assert answer(server, "/", Host=host)[0] == 200
    assert answer(server, "/_stcore/stream", Host=host, Origin=f"http://{host}", **UPGRADE)[0] == 101


def test_a_setting_that_is_none_is_told_when_the_server_begins(server):
    told = "PATHSCOPE_WORKER is no setting, and changes nothing; did you mean PATHSCOPE_WORKERS?\n"
    assert server.log.read_text().count(told) == 1


def test_who_watches_over_the_server_may_ask_by_any_name(server):
    assert answer(server, "/_stcore/health", Host="10.0.0.1:8501") == (200, "ok")


def test_search_engines_are_sent_away(server):
    assert answer(server, "/robots.txt") == (200, "User-agent: *\nDisallow: /\n")


def test_an_address_that_is_too_long_is_refused_with_the_bound(server):
    assert answer(server, "/?clean=" + "x" * (LONGEST - 10))[0] == 200
    status, told = answer(server, "/?clean=" + "x" * LONGEST)
    assert status == 414 and "60,006 characters" in told and "60,000" in told


@pytest.mark.parametrize(
    "path", ["/_stcore/upload_file/someone/file", "/_stcore/upload_file/", "/_stcore/upload_file/a"]
)
def test_a_page_without_an_uploader_takes_no_file(server, path):
    assert answer(server, path, "PUT") == (403, "This page takes no files. Open a page that has an uploader.")


@pytest.mark.parametrize("setting", ["PATHSCOPE_WORKERS", "PATHSCOPE_CACHE_BYTES"])
def test_a_server_with_a_bad_setting_does_not_start(setting, tmp_path):
    command = [*START, "--server.port=0"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), setting: "abc"}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Pathscope does not start. {setting} is 'abc', and must be ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("unended", UNENDED)
def test_a_server_that_is_told_to_end_ends_whatever_runs_and_whoever_stays(tmp_path, unended):
    with serve(tmp_path, {}) as running, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", running.port))
        client.sendall(UNENDED[unended])
        with connect(f"ws://127.0.0.1:{running.port}/_stcore/stream") as visitor:
            visitor.send(rerun(""))
            visitor.recv()  # the page has begun to load its model
            running.process.send_signal(signal.SIGTERM)
            # Far more than it may take, and far less than for ever.
            running.process.wait(timeout=30)


@pytest.mark.parametrize(("headless", "opened_at"), [(True, []), (False, ["http://localhost:8501"])])
def test_the_browser_is_opened_at_the_beginning_and_work_stopped_at_the_end(monkeypatch, headless, opened_at):
    done: list[str] = []
    options = {"server.headless": headless, "browser.serverAddress": "localhost"}
    monkeypatch.setattr(door, "_end_in_time", lambda: done.append("in time"))
    monkeypatch.setattr(door.config, "get_option", options.__getitem__)
    monkeypatch.setattr(door.server_util, "get_url", "http://{}:8501".format)
    monkeypatch.setattr(door.cli_util, "open_browser", done.append)
    monkeypatch.setattr(jobs, "stop_all", lambda: done.append("stopped"))
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)

    async def serving() -> None:
        async with door.opened(None):
            await asyncio.sleep(0)
            done.append("serving")
            # Else a page may be the first that runs, without app.py.
            assert PagesManager.uses_pages_directory is False

    run(serving())
    assert done == ["in time", *opened_at, "serving", "stopped"]


def passed_on(message: Message) -> Message:
    """What of a connection's `message` comes through the door."""
    seen: list[Message] = []

    async def inside(_scope, receive, _send) -> None:
        seen.append(await receive())

    async def receive() -> Message:
        return message

    run(door.Door(inside)({"type": "websocket", "headers": []}, receive, None))
    return seen[0]


def test_a_long_address_becomes_its_length():
    data = passed_on({"type": "websocket.receive", "bytes": rerun("clean=" + "x" * 600_000)})["bytes"]
    assert BackMsg.FromString(data).rerun_script.query_string == "address_length=600006"


@pytest.mark.parametrize(
    "data", [rerun("clean=a"), rerun("x" * LONGEST), b"\xff" * 2 * LONGEST, b"", None], ids=repr
)
def test_everything_else_comes_through_as_it_was(data):
    assert passed_on({"type": "websocket.receive", "bytes": data}) == {
        "type": "websocket.receive",
        "bytes": data,
    }


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Draws a page of the session "someone", with an uploader or without."""

    class Context:
        session_id = "someone"

    monkeypatch.setattr(uploads, "get_script_run_ctx", Context)
    monkeypatch.setattr(uploads, "_sessions", type(uploads._sessions)())
    return uploads.expect_files


def test_a_page_with_an_uploader_takes_a_few_files(session):
    session(True)
    taken = [uploads.refusal("someone", str(file)) for file in range(uploads.MOST_FILES + 1)]
    assert taken[:-1] == [None] * uploads.MOST_FILES and "holds 4 files already" in str(taken[-1])
    assert uploads.refusal("someone", "0") is None, "a file may come again"
    assert uploads.refusal("another", "0") is not None
    uploads.deleted("someone", "0")
    assert uploads.refusal("someone", "5") is None
    session(False)
    assert uploads.refusal("someone", "0") == "This page takes no files. Open a page that has an uploader."


def test_few_sessions_are_remembered(session, monkeypatch):
    monkeypatch.setattr(uploads, "_MOST_SESSIONS", 3)
    for name in "abcde":
        monkeypatch.setattr(uploads, "get_script_run_ctx", lambda n=name: type("C", (), {"session_id": n}))
        session(True)
    assert [*uploads._sessions] == ["c", "d", "e"]


def test_an_address_that_was_too_long_is_told(visit: Callable[..., AppTest]):
    app = visit("result", address_length="600006")
    assert not app.exception
    assert notes(app) == [
        "The address has 600,006 characters, and at most 60,000 are read. Shown is the first ready example."
    ]
    assert "address_length" not in app.query_params
    assert app.session_state[Key.CLEAN] == FIRST.clean


@pytest.mark.parametrize("key", ["clean", "corrupted", "answer", "foil"])
def test_a_prompt_in_the_address_that_is_too_long_is_told(visit: Callable[..., AppTest], key):
    others = {"clean": "Hello", "corrupted": "Hi", "unit": "head"}
    app = visit("result", **(others | {key: "x" * 20_000}))
    assert not app.exception
    [told] = notes(app)
    assert told.startswith(f"The address asks for {key} = a text of 20,000 characters, and at most 10,240 ")
    assert (app.session_state[Key.CLEAN], app.session_state[Key.CORRUPTED]) == (FIRST.clean, FIRST.corrupted)
    assert app.session_state[Key.UNIT] == "head"


def test_a_view_that_no_address_holds_says_so_and_keeps_its_prompts(visit: Callable[..., AppTest]):
    app = visit("result")
    app.session_state[Key.CLEAN] = app.session_state[Key.CORRUPTED] = "π" * 10_000
    app.run()
    assert not app.exception
    assert any("too long for an address" in told and "leaves out clean" in told for told in notes(app))
    assert len(urlencode({key: word for key, [word] in app.query_params.items()})) < LONGEST
    assert app.session_state[Key.CLEAN] == "π" * 10_000


def test_the_doors_are_set():
    configured = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["server"]
    assert configured["address"] == "localhost"
    assert configured["allowedHosts"] == ["localhost", "127.0.0.1", "::1"]
    assert (configured["maxUploadSize"], configured["maxWidgetStateSize"]) == (1, 1)
    assert configured["disconnectedSessionTTL"] <= 60


def test_a_session_that_sends_more_than_any_page_does_is_closed(server):
    message = BackMsg()
    message.rerun_script.widget_states.widgets.add(id="junk", string_value="x" * 1_100_000)
    with connect(f"ws://127.0.0.1:{server.port}/_stcore/stream") as visitor:
        visitor.send(message.SerializeToString())
        with pytest.raises(ConnectionClosed, match="1009"):
            deque(iter(lambda: visitor.recv(timeout=30), None))  # reads for as long as it is open
