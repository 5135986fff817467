"""A page's connection: where it comes from, and when all of a page has left by it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from starlette.types import Message, Scope, Send
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

#: Headers in which the door tells a page the address and the name of its connection.
ADDRESS, CONNECTION = "x-pathscope-address", "x-pathscope-connection"
#: Bytes that the message at the end of a page has at most: of longer ones none is read.
_SHORT = 500

_guard = threading.Lock()
#: Connection -> what is to be done once the page that is drawn there has been sent.
_then: dict[str, list[Callable[[], None]]] = {}


def followed(scope: Scope, address: str, send: Send) -> tuple[Scope, Send, Callable[[], None]]:
    """`scope` and `send` of a connection from `address`, as pages know it, and what to call at its end.

    What a visitor says in these headers is left out.
    """
    name = uuid.uuid4().hex
    with _guard:
        _then[name] = []

    async def sent(message: Message) -> None:
        await send(message)
        if ends_a_page(message.get("bytes") or b""):
            _do(name)

    def end() -> None:
        with _guard:
            left = _then.pop(name)
        _call(left)

    ours = {ADDRESS.encode(): address.encode(), CONNECTION.encode(): name.encode()}
    others = [(header, value) for header, value in scope["headers"] if header.lower() not in ours]
    return {**scope, "headers": [*others, *ours.items()]}, sent, end


def when_sent(connection: str | None, then: Callable[[], None]) -> None:
    """Call `then` once the page that is being drawn on `connection` has been sent, or nobody is there.

    It is called at once where there is no such connection.
    """
    with _guard:
        waiting = _then.get(connection or "")
        if waiting is not None:
            waiting.append(then)
            return
    then()


def ends_a_page(data: bytes) -> bool:
    """Whether `data` is the message at the end of a run."""
    return 0 < len(data) < _SHORT and ForwardMsg.FromString(data).WhichOneof("type") == "script_finished"


def _do(name: str) -> None:
    with _guard:
        waiting = _then.get(name, [])
        done = [*waiting]
        waiting.clear()
    _call(done)


def _call(waiting: list[Callable[[], None]]) -> None:
    for then in waiting:
        then()
