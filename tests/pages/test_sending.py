"""What is drawn leaves at once: no connection waits for the browser to confirm what it got before."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest
from streamlit.commands import execution_control
from streamlit.runtime import runtime
from streamlit.web.server.starlette.starlette_server import _bind_socket

from pages.shared import sending
from tests.asynchronous import run


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch):
    for waits in (runtime, execution_control):
        monkeypatch.setattr(waits, "MESSAGE_FLUSH_INTERVAL_SECS", waits.MESSAGE_FLUSH_INTERVAL_SECS)
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)


async def accepted_without_delay() -> bool:
    """Whether a connection to a socket as Streamlit binds it sends without delay."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport):
            accepted = transport.get_extra_info("socket")
            told.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    listening = _bind_socket("127.0.0.1", 0, 1)
    async with await asyncio.get_running_loop().create_server(Accepting, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname())
        writer.close()
        return bool(await told)


def test_a_connection_sends_without_delay():
    async def looked() -> tuple[bool, bool]:
        before = await accepted_without_delay()
        sending.send_soon()
        return before, await accepted_without_delay()

    before, after = run(looked())
    assert after
    assert not before, "Streamlit asks for it by itself now: `sending` need not"
