"""One visitor: a browser's side of Streamlit's protocol, without the browser.

A visitor opens pages of random experiments and compares what they show with what it asked for, follows
the fragments that a running sweep redraws, presses Cancel, changes pages within a session, and closes the
connection whenever it likes.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.soak import asking

PAGES = (
    "",
    "direct_logit_attribution",
    "path_patching",
    "all_sources",
    "all_sources",
    "circuit",
    "compare",
    "sanity_checks",
)
#: Seconds without an answer after which a page counts as hung.
HUNG = 120.0


@dataclass
class Record:
    """What all visitors did and saw."""

    counts: Counter[str] = field(default_factory=Counter)
    exceptions: list[str] = field(default_factory=list)


class Visit:
    """One connection, from opening the app to closing the tab."""

    def __init__(self, socket: ClientConnection, chance: random.Random, record: Record) -> None:
        self._socket, self._chance, self._record = socket, chance, record
        self._page, self._asked, self._drawn = "", asking.something(chance), asking.Drawn()
        self._page_hash = ""
        self._opened = 0
        self._buttons: dict[str, str] = {}
        self._followed: dict[str, float] = {}

    async def open(self, page: str) -> None:
        """Open `page` on a random experiment, and look at it until it is finished or boring."""
        self._page, self._asked, self._page_hash = page, asking.something(self._chance), ""
        self._opened += 1
        self._buttons.clear()
        self._followed.clear()
        self._record.counts[f"page {page or 'overview'}"] += 1
        # Within a session only Back and Forward lead to another address; a link begins a session.
        await self._rerun(through_history=self._opened > 1)
        await self._read_until_finished()
        self._compare()
        patience = self._chance.uniform(0.5, 8.0)
        began = asyncio.get_running_loop().time()
        while self._followed and asyncio.get_running_loop().time() - began < patience:
            fragment, interval = next(iter(self._followed.items()))
            await asyncio.sleep(interval)
            self._record.counts["polls of a running sweep"] += 1
            cancel = next((press for key, press in self._buttons.items() if key.startswith("cancel_")), None)
            if cancel is not None and self._chance.random() < 0.1:
                self._record.counts["cancels"] += 1
                await self._rerun(press=cancel, fragment=fragment)
            else:
                await self._rerun(fragment=fragment)
            await self._read_until_finished()

    async def leave_in_the_middle(self) -> None:
        """Ask for a page and close the tab before it is drawn."""
        self._page, self._asked, self._page_hash = "all_sources", asking.something(self._chance), ""
        self._record.counts["tabs closed in the middle"] += 1
        await self._rerun()
        await asyncio.sleep(self._chance.uniform(0.0, 1.0))

    def _compare(self) -> None:
        """Whether the page shows what it was asked for."""
        self._record.counts["choices compared"] += len(self._drawn.controls.keys() & self._asked.shown.keys())
        self._record.exceptions += [
            f"{self._page or 'overview'}: {fault}"
            for fault in asking.faults(self._page, self._asked, self._drawn)
        ]

    async def _rerun(self, *, press: str = "", fragment: str = "", through_history: bool = False) -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self._asked.query
        state.is_history_navigation = through_history
        state.page_script_hash = self._page_hash
        state.page_name = "" if self._page_hash else self._page
        state.fragment_id = fragment
        if press:
            state.widget_states.widgets.add(id=press, trigger_value=True)
        await self._socket.send(message.SerializeToString())

    async def _read_until_finished(self) -> None:
        while True:
            data = await asyncio.wait_for(self._socket.recv(), HUNG)
            assert isinstance(data, bytes)
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                if not message.metadata.run.fragment_ids:
                    self._followed.clear()
                    self._buttons.clear()
                    self._drawn = asking.Drawn()
            elif kind == "navigation":
                self._page_hash = message.navigation.page_script_hash
            elif kind == "auto_rerun":
                self._followed[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            elif kind == "stop_auto_rerun":
                self._followed.clear()
            elif kind == "delta":
                self._see(message)
            elif kind == "script_finished" and message.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
            ):
                return

    def _see(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        self._record.counts["elements drawn"] += 1
        self._drawn.see(element)
        if kind == "exception":
            self._record.exceptions.append(
                f"{self._page}: {element.exception.type}: {element.exception.message}"
            )
        elif kind == "button":
            self._buttons[element.button.id.rpartition("-")[2]] = element.button.id
        elif kind == "vega_lite_chart":
            self._record.counts["charts drawn"] += 1


async def visit_until(deadline: float, port: int, chance: random.Random, record: Record) -> None:
    """Come, look around and leave again, over and over."""
    clock = asyncio.get_running_loop().time
    while clock() < deadline:
        record.counts["sessions"] += 1
        address = f"ws://127.0.0.1:{port}/_stcore/stream"
        try:
            async with connect(address, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
                visit = Visit(socket, chance, record)
                if chance.random() < 0.2:
                    await visit.leave_in_the_middle()
                    continue
                for _ in range(chance.randint(1, 4)):
                    if clock() < deadline:
                        await visit.open(chance.choice(PAGES))
        except TimeoutError:
            record.exceptions.append(f"a page was not finished within {HUNG:.0f} s")
        except ConnectionClosed as closed:
            record.exceptions.append(f"the server closed the connection: {closed}")
