"""Visitors who mean harm: what each kind of them does to a server, over and over."""

from __future__ import annotations

import asyncio
import http.client
import random
from collections.abc import Awaitable, Callable
from contextlib import closing
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, WebSocketException

from pages.shared.keys import PROMPT_KEYS, Key
from tests.soak.session import HUNG, Record, Session, connected

#: Marks in the text of a visitor: no page may take them for anything but text.
MARKUP = "<img src=x onerror=alert(1)> **bold** :red[red] $x^2$ [a](http://evil.example) `code`"
FORMULA = '=HYPERLINK("http://evil.example")'
VEGA = "datum['x'] || toString(constructor)"
MODELS = (
    *("/etc/passwd", "../../etc", "~", "file:///etc/passwd", "C:\\Windows", "\\\\host\\share", "./analysis"),
    *("gpt2", "meta-llama/Llama-3-70b", "demo/../..", "DEMO", "demo\x00", "\ud7ff\u202e", "x" * 5000, MARKUP),
)
VALUES = (
    *("", "-1", "1e309", "NaN", "99999999999999999999", "0x10", "\u0663", "None", "[]", "{}"),
    *(MARKUP, VEGA, FORMULA),
)
LONG = ("the " * 10_000, "a" * 1_000_000, "\u0301" * 20_000, "\U0001d518" * 30_000)
PATHS = (
    *("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../app.py", "/app.py", "/.git/HEAD"),
    *("/_stcore/metrics", "/media/0.csv", "/component/x/../../app.py", "/_stcore/upload_file/a/b"),
    "/.streamlit/config.toml",
)
PAGES = (
    *("", "result", "direct_logit_attribution", "path_patching", "all_sources", "circuit", "prompt_set"),
    "no_such_page",
)
#: Words that are one token of the bundled model: pairs of them are experiments that nobody has asked for.
NAMES = tuple(f" {word}" for word in "Mary John Tom Anna river store the and to gave a drink".split())

#: What one kind of visitor does once, from `address`, on the server at `port`.
Attack = Callable[[int, str, random.Random, Record], Awaitable[None]]


async def _look(port: int, address: str, record: Record, page: str, words: dict[str, str]) -> None:
    async with connected(port, address) as socket:
        session = Session(socket, record)
        await session.ask(page, urlencode(words))
        await session.read_until_finished()


async def strange_words(port: int, address: str, chance: random.Random, record: Record) -> None:
    """A link in which anything stands for anything."""
    words: dict[str, str] = {key: chance.choice(VALUES) for key in Key if chance.random() < 0.5}
    words |= {"model": chance.choice(MODELS)} if chance.random() < 0.5 else {}
    await _look(port, address, record, chance.choice(PAGES), words)


async def long_prompts(port: int, address: str, chance: random.Random, record: Record) -> None:
    """Prompts that would take the server's memory."""
    await _look(
        port, address, record, chance.choice(PAGES), {chance.choice(PROMPT_KEYS): chance.choice(LONG)}
    )


async def new_sweeps(port: int, address: str, chance: random.Random, record: Record) -> None:
    """Experiments that nobody has computed, one sweep after the other, each left as soon as it runs."""
    texts = ["".join(chance.choices(NAMES, k=12)) for _ in range(2)]
    answer, foil = chance.sample(NAMES, 2)
    words = dict(zip(PROMPT_KEYS, (*texts, answer, foil), strict=True))
    await _look(port, address, record, chance.choice(("all_sources", "circuit")), words)


async def others_work(port: int, address: str, chance: random.Random, record: Record) -> None:
    """Presses everything that cancels, on the page that everybody sees."""
    async with connected(port, address) as socket:
        session = Session(socket, record)
        await session.ask("all_sources", "")
        await session.read_until_finished()
        for key, press in list(session.buttons.items()):
            if key.startswith("cancel_"):
                await session.ask("all_sources", "", press=press)
                await session.read_until_finished()


async def floods(port: int, address: str, chance: random.Random, record: Record) -> None:
    """Sessions that are opened and left, many at a time."""

    async def once() -> None:
        async with connected(port, address) as socket:
            await Session(socket, record).ask("", "")

    await asyncio.gather(*(once() for _ in range(10)), return_exceptions=True)


async def stalls(port: int, address: str, chance: random.Random, record: Record) -> None:
    """Begins a request and does not end it; asks for a page and does not read it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    async with connected(port, address) as socket:
        await Session(socket, record).ask("sanity_checks", "")
        await asyncio.sleep(chance.uniform(1, 5))
    writer.close()


async def junk(port: int, address: str, chance: random.Random, record: Record) -> None:
    """Messages that are none, and the state of widgets that there are not."""
    async with connected(port, address) as socket:
        message = BackMsg()
        message.rerun_script.widget_states.widgets.add(id="$$ID-x-None", string_value="x" * 1_000_000)
        await socket.send(message.SerializeToString())
        await asyncio.sleep(1)
        await socket.send(chance.randbytes(1000))
        await _closed(socket)


async def _closed(socket: ClientConnection) -> None:
    async with asyncio.timeout(HUNG):
        async for _ in socket:
            pass


async def files(port: int, address: str, chance: random.Random, record: Record) -> None:
    """Asks for the server's files, and sends it some."""
    told = {"X-Forwarded-For": address, "Host": chance.choice(("localhost", "evil.example"))}
    record.see_text(await asyncio.to_thread(_fetched, port, chance.choice(PATHS), told))


def _fetched(port: int, path: str, headers: dict[str, str]) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=HUNG)) as connection:
        connection.request("GET", path, headers=headers)
        text = connection.getresponse().read().decode(errors="replace")
        connection.request("PUT", "/_stcore/upload_file/a/b", b"x" * 1_000_000, headers)
        return text + connection.getresponse().read().decode(errors="replace")


ATTACKS: tuple[Attack, ...] = (
    *(strange_words, long_prompts, new_sweeps, others_work, floods, stalls, junk, files),
)


async def attack_until(deadline: float, port: int, attack: Attack, number: int, record: Record) -> None:
    """Do the same harm until `deadline`, from one address of its own."""
    chance, clock = random.Random(number), asyncio.get_running_loop().time
    while clock() < deadline:
        record.counts[f"hostile: {attack.__name__}"] += 1
        try:
            await attack(port, f"6.6.{number // 256}.{number % 256}", chance, record)
        except (InvalidStatus, WebSocketException, http.client.HTTPException, ConnectionError):
            record.counts["hostile: turned away"] += 1
            await asyncio.sleep(0.5)
        except TimeoutError:
            record.exceptions.append(f"{attack.__name__}: not answered within {HUNG:.0f} s")
