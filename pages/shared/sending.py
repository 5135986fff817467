"""How what is drawn leaves the server: soon, and together."""

from __future__ import annotations

import asyncio
import socket
import sys
from functools import wraps
from typing import Any

from streamlit.commands import execution_control
from streamlit.runtime import runtime

#: Seconds for which one thread may keep the others from Python; its own default is 0.005.
_SECONDS_IN_A_ROW = 0.0001
#: Seconds for which what is drawn is gathered, to leave together: Streamlit's client lays its page out anew
#: for each lot that comes, and with Streamlit's own 0.005 a page is some thirty lots.
_SECONDS_GATHERED = 0.05
_GATHERED_FOR = "MESSAGE_FLUSH_INTERVAL_SECS"


def send_soon() -> None:
    """Have what is drawn leave soon; to be called in the loop that serves, before it listens."""
    # Else a thread that computes keeps the one that sends from its turn at every message.
    sys.setswitchinterval(_SECONDS_IN_A_ROW)
    for waits in (runtime, execution_control):  # which each hold the name
        setattr(waits, _GATHERED_FOR, _SECONDS_GATHERED)
    _send_without_delay(asyncio.get_running_loop())


def _send_without_delay(loop: asyncio.AbstractEventLoop) -> None:
    """Have the system send each answer at once, whether or not the browser has confirmed the one before.

    asyncio asks for this by itself, but not of a socket whose protocol is not named, as of Streamlit 1.67's
    (https://github.com/Kludex/uvicorn/issues/3149): each of the client's some hundred and fifty files waits
    40 ms. What is accepted takes the option over from the socket that listens.
    """
    create = loop.create_server

    @wraps(create)
    async def created(*args: Any, sock: socket.socket | None = None, **options: Any) -> asyncio.Server:
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return await create(*args, sock=sock, **options)

    setattr(loop, create.__name__, created)
