"""One visitor, who opens pages of random experiments and compares what they show with what was asked for.

A visitor follows the fragments that a running sweep redraws, presses Cancel, changes pages within a session,
and closes the connection whenever it likes.
"""

from __future__ import annotations

import asyncio
import random

from websockets.exceptions import ConnectionClosed

from tests.soak import asking
from tests.soak.session import HUNG, Record, Session, connected

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


class Visit:
    """One connection, from opening the app to closing the tab."""

    def __init__(self, session: Session, chance: random.Random, record: Record) -> None:
        self._session, self._chance, self._record = session, chance, record
        self._opened = 0

    async def open(self, page: str) -> None:
        """Open `page` on a random experiment, and look at it until it is finished or boring."""
        asked, session = asking.something(self._chance), self._session
        self._opened += 1
        session.turn_to_another_page()
        self._record.counts[f"page {page or 'overview'}"] += 1
        # Within a session only Back and Forward lead to another address; a link begins a session.
        await session.ask(page, asked.query, through_history=self._opened > 1)
        await session.read_until_finished()
        self._compare(page, asked)
        patience = self._chance.uniform(0.5, 8.0)
        began = asyncio.get_running_loop().time()
        while session.followed and asyncio.get_running_loop().time() - began < patience:
            fragment, interval = next(iter(session.followed.items()))
            await asyncio.sleep(interval)
            self._record.counts["polls of a running sweep"] += 1
            cancel = next((press for key, press in session.buttons.items() if key.startswith("cancel_")), "")
            press = cancel if cancel and self._chance.random() < 0.1 else ""
            self._record.counts["cancels"] += bool(press)
            await session.ask(page, asked.query, press=press, fragment=fragment)
            await session.read_until_finished()

    async def leave_in_the_middle(self) -> None:
        """Ask for a page and close the tab before it is drawn."""
        self._record.counts["tabs closed in the middle"] += 1
        await self._session.ask("all_sources", asking.something(self._chance).query)
        await asyncio.sleep(self._chance.uniform(0.0, 1.0))

    def _compare(self, page: str, asked: asking.Asked) -> None:
        """Whether the page shows what it was asked for."""
        drawn = self._session.drawn
        self._record.counts["choices compared"] += len(drawn.controls.keys() & asked.shown.keys())
        self._record.exceptions += [
            f"{page or 'overview'}: {fault}" for fault in asking.faults(page, asked, drawn)
        ]


async def visit_until(deadline: float, port: int, chance: random.Random, record: Record) -> None:
    """Come, look around and leave again, over and over."""
    clock = asyncio.get_running_loop().time
    while clock() < deadline:
        record.counts["sessions"] += 1
        try:
            async with connected(port) as socket:
                visit = Visit(Session(socket, record), chance, record)
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
