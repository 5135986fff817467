"""How often an address may ask, and by what it is known."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Message

from analysis.policy import OWN_MACHINE
from pages.shared import door, limits
from tests.asynchronous import run

pytestmark = pytest.mark.usefixtures("hosted")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(now=600.0)
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now.now))
    monkeypatch.setattr(limits, "_addresses", limits.Sliding())
    monkeypatch.setattr(limits, "_HELD_BACK", 0.0)
    return now


def scope(address: str = "10.0.0.1", kind: str = "http", **headers: str) -> dict[str, Any]:
    return {
        "type": kind,
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "client": (address, 1234),
        "headers": [(b"host", b"localhost")]
        + [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }


def through_the_door(asked: dict[str, Any]) -> list[Message]:
    """What is answered; the app inside answers nothing."""
    sent: list[Message] = []

    async def inside(scope, receive, send) -> None:
        sent.append({"type": "let in"})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    run(door.Door(inside)(asked, receive, send))
    return sent


def test_an_address_that_asks_too_often_is_told_when_to_come_again(clock, monkeypatch):
    monkeypatch.setenv("PATHSCOPE_HOSTED_REQUESTS", "60")
    assert all(through_the_door(scope()) == [{"type": "let in"}] for _ in range(60))
    start, body = through_the_door(scope())
    assert start["status"] == 429 and (b"retry-after", b"60") in start["headers"]
    told = body["body"].decode()
    assert "as many requests as one may within a minute, 60. Try again in 60 s." in told
    assert told.endswith(OWN_MACHINE)
    assert through_the_door(scope("10.0.0.2")) == [{"type": "let in"}]


def test_a_page_that_is_opened_counts_forty_and_is_refused_before_it_is_connected(clock, monkeypatch):
    monkeypatch.setenv("PATHSCOPE_HOSTED_REQUESTS", "240")
    assert [len(through_the_door(scope(kind="websocket"))) for _ in range(6)] == [1] * 6
    start, _ = through_the_door(scope(kind="websocket"))
    assert start["type"] == "websocket.http.response.start" and start["status"] == 429


def test_a_refusal_comes_late_and_ends_the_connection(clock, monkeypatch):
    monkeypatch.setenv("PATHSCOPE_HOSTED_REQUESTS", "60")
    monkeypatch.setattr(limits, "_HELD_BACK", 0.2)
    assert all(through_the_door(scope()) == [{"type": "let in"}] for _ in range(60))
    began = time.monotonic()
    start, _ = through_the_door(scope())
    assert time.monotonic() - began >= 0.2
    assert (b"connection", b"close") in start["headers"], "what is sent along is not read"


def test_few_refusals_are_held_back_at_a_time(clock, monkeypatch):
    monkeypatch.setenv("PATHSCOPE_HOSTED_REQUESTS", "60")
    monkeypatch.setattr(limits, "_HELD_BACK", 30.0)
    monkeypatch.setattr(limits, "_held_back", asyncio.BoundedSemaphore(1))

    async def asked(number: int) -> bool:
        """Whether the answer to one of several at once has come."""
        refused = await asyncio.wait_for(limits.too_many(HTTPConnection(scope())), 0.5)
        return refused is not None

    async def several() -> list[bool | BaseException]:
        for _ in range(60):
            assert await limits.too_many(HTTPConnection(scope())) is None
        return await asyncio.gather(*map(asked, range(3)), return_exceptions=True)

    first, *others = run(several())
    assert isinstance(first, TimeoutError) and others == [True, True]


def test_who_watches_over_the_server_is_never_refused(clock, monkeypatch):
    monkeypatch.setenv("PATHSCOPE_HOSTED_REQUESTS", "60")
    for _ in range(70):
        through_the_door(scope())
    assert through_the_door(scope() | {"path": "/_stcore/health"}) == [{"type": "let in"}]


def test_the_window_slides(clock):
    sliding = limits.Sliding()
    assert [sliding.wait("a", 1, 10) for _ in range(11)] == [0] * 10 + [60]
    clock.now = 659.0
    assert sliding.wait("a", 1, 10) == 1
    clock.now = 690.0  # half of the former minute lies within the last sixty seconds
    assert [sliding.wait("a", 1, 10) for _ in range(6)] == [0] * 5 + [30]
    clock.now = 900.0
    assert [sliding.wait("a", 1, 10) for _ in range(11)].count(0) == 10


def test_few_addresses_are_remembered(clock, monkeypatch):
    monkeypatch.setattr(limits, "_MOST_ADDRESSES", 3)
    sliding = limits.Sliding()
    for key in "abcad":
        sliding.wait(key, 1, 10)
    assert [*sliding._counts] == ["c", "a", "d"]


@pytest.mark.parametrize(
    ("trusted", "told", "address"),
    [
        ("", {}, "10.0.0.1"),
        ("", {"x_real_ip": "6.6.6.6"}, "10.0.0.1"),
        ("", {"x_forwarded_for": "6.6.6.6"}, "a proxy"),
        ("X-Real-IP", {"x_real_ip": "6.6.6.6"}, "6.6.6.6"),
        ("X-Real-IP", {"x_forwarded_for": "6.6.6.6"}, "a proxy"),
        ("X-Forwarded-For", {"x_forwarded_for": "1.1.1.1, 6.6.6.6"}, "6.6.6.6"),
        ("X-Forwarded-For", {"x_forwarded_for": "junk"}, "a proxy"),
        ("X-Real-IP", {"x_real_ip": "2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"),
    ],
)
def test_a_header_tells_the_address_only_where_the_host_trusts_it(trusted, told, address):
    assert limits.address_of(HTTPConnection(scope(**told)), trusted) == address


def test_on_a_machine_of_ones_own_nobody_counts(clock, monkeypatch):
    monkeypatch.delenv("PATHSCOPE_HOSTED")
    monkeypatch.setenv("PATHSCOPE_HOSTED_REQUESTS", "60")
    assert all(through_the_door(scope()) == [{"type": "let in"}] for _ in range(200))


def test_a_page_that_sends_too_much_is_closed_with_a_sentence(clock, monkeypatch):
    monkeypatch.setattr("analysis.policy._MESSAGES", 3)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.receive", "bytes": b"x"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def conversation() -> list[str]:
        received, passed_on = limits.paced(receive, send)
        kinds = [(await received())["type"] for _ in range(4)]
        await passed_on({"type": "websocket.send", "bytes": b"late"})
        return kinds

    assert run(conversation()) == ["websocket.receive"] * 3 + ["websocket.disconnect"]
    [closed] = sent
    assert closed["code"] == 1008 and "more than 3 messages within a minute" in closed["reason"]
    assert len(closed["reason"].encode()) <= 123, "no more fits into the frame"
