"""How often one address may ask, and one page send, where the policy bounds that."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Send

from analysis.policy import OWN_MACHINE, policy

_MINUTE = 60.0
#: Addresses that are remembered; of more, the one that has been quiet longest begins anew.
_MOST_ADDRESSES = 10_000
#: What opening a page's connection counts: with it comes a run of the page.
_CONNECTION = 40
#: Seconds for which an answer is held back from who asks too often, and of how many at a time.
_HELD_BACK, _MOST_HELD_BACK = 1.0, 100
#: Whoever comes through a proxy that is not trusted to tell the address.
_THROUGH_A_PROXY = "a proxy"


class Sliding:
    """How much there was of something by key within the last minute.

    Of the minute before the present one as much is counted as lies within sixty seconds, as if it had come
    evenly: two numbers for each key.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()

    def wait(self, key: str, cost: int, most: int) -> int:
        """Seconds until there is room for `cost` more; 0 where there is now, and then it is taken."""
        now = time.monotonic()
        minute, passed = int(now // _MINUTE), now % _MINUTE
        then, here, before = self._counts.get(key, (minute, 0, 0))
        if then != minute:
            here, before = 0, here if then == minute - 1 else 0
        free = before * (1 - passed / _MINUTE) + here + cost <= most
        self._counts[key] = minute, here + cost * free, before
        self._counts.move_to_end(key)
        while len(self._counts) > _MOST_ADDRESSES:
            self._counts.popitem(last=False)
        return 0 if free else max(1, math.ceil(_MINUTE - passed))


_addresses = Sliding()


_held_back = asyncio.BoundedSemaphore(_MOST_HELD_BACK)


async def too_many(connection: HTTPConnection) -> PlainTextResponse | None:
    """The answer to an address that asks too often; None where it does not.

    It comes late: whoever asks again at once would be answered hundreds of times in a second.
    """
    refused = _refused(connection)
    if refused is not None and not _held_back.locked():
        async with _held_back:
            await asyncio.sleep(_HELD_BACK)
    return refused


def _refused(connection: HTTPConnection) -> PlainTextResponse | None:
    rules = policy()
    most = rules.requests
    if most is None:
        return None
    cost = _CONNECTION if connection.scope["type"] == "websocket" else 1
    seconds = _addresses.wait(address_of(connection, rules.header), cost, most)
    if not seconds:
        return None
    return PlainTextResponse(
        f"Your address has made as many requests as one may within a minute, {most:,}. Try again in "
        f"{seconds} s. {OWN_MACHINE}",
        429,
        {"Retry-After": str(seconds)},
    )


def address_of(connection: HTTPConnection, header: str) -> str:
    """The address that `connection` comes from; of IPv6, the network that a household has.

    `header` tells it where the policy names one, and of several addresses the last: it is the one that the
    proxy itself has seen.
    """
    if header:
        told = ",".join(connection.headers.getlist(header)).rpartition(",")[2].strip()
    elif "x-forwarded-for" in connection.headers:  # which the server has taken for the peer, if that is local
        told = _THROUGH_A_PROXY
    else:
        told = connection.client.host if connection.client else ""
    try:
        address = ipaddress.ip_address(told)
    except ValueError:
        return _THROUGH_A_PROXY
    return told if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


def paced(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """`receive` and `send` of a page, whose connection ends once it sends too much within a minute."""
    sent, most, closed = Sliding(), policy().messages, False

    async def received() -> Message:
        nonlocal closed
        message = await receive()
        if most is None or message["type"] != "websocket.receive" or not sent.wait("", 1, most):
            return message
        closed = True
        reason = f"This page sends more than {most:,} messages within a minute. Open it anew."
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return {"type": "websocket.disconnect", "code": 1008}

    async def passed_on(message: Message) -> None:
        if not closed:
            await send(message)

    return received, passed_on
