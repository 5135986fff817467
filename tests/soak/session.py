"""A browser's side of Streamlit's protocol, without the browser."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from tests.soak import asking

#: Seconds without an answer after which a page counts as hung.
HUNG = 120.0


@dataclass
class Record:
    """What all visitors did and saw."""

    counts: Counter[str] = field(default_factory=Counter)
    exceptions: list[str] = field(default_factory=list)
    #: What nobody may ever see of a server.
    secrets: tuple[str, ...] = ()

    def see_text(self, text: str) -> None:
        """Look through what the server told for what it may not tell."""
        self.exceptions += [f"the server told {secret!r}" for secret in self.secrets if secret in text]


def connected(port: int, address: str = "") -> connect:
    """A connection as a browser opens it, behind a proxy that tells `address` if there is one."""
    return connect(
        f"ws://127.0.0.1:{port}/_stcore/stream",
        subprotocols=["streamlit"],  # type: ignore[list-item]
        max_size=None,
        ping_interval=None,  # `HUNG` judges what does not answer
        additional_headers={"X-Forwarded-For": address} if address else None,
    )


class Session:
    """One tab: asks for pages, and reads what comes until they are drawn."""

    def __init__(self, socket: ClientConnection, record: Record) -> None:
        self._socket, self._record, self._page_hash = socket, record, ""
        self.drawn = asking.Drawn()
        #: Key of a button -> its id, of the page that was drawn last.
        self.buttons: dict[str, str] = {}
        #: Fragment of a running sweep -> seconds after which it is to be asked for again.
        self.followed: dict[str, float] = {}

    def turn_to_another_page(self) -> None:
        """Forget what was drawn: what is asked next is another page."""
        self._page_hash = ""
        self.buttons.clear()
        self.followed.clear()

    async def ask(
        self, page: str, query: str, *, press: str = "", fragment: str = "", through_history: bool = False
    ) -> None:
        """Ask for `page`, or for a part of it, with a button pressed."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string = query
        state.is_history_navigation = through_history
        state.page_script_hash = self._page_hash
        state.page_name = "" if self._page_hash else page
        state.fragment_id = fragment
        if press:
            state.widget_states.widgets.add(id=press, trigger_value=True)
        await self._socket.send(message.SerializeToString())

    async def read_until_finished(self) -> None:
        """Read until the page, or the part of it, is drawn. Raises `TimeoutError` where nothing comes."""
        while True:
            data = await asyncio.wait_for(self._socket.recv(), HUNG)
            assert isinstance(data, bytes)
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                if not message.metadata.run.fragment_ids:
                    self.followed.clear()
                    self.buttons.clear()
                    self.drawn = asking.Drawn()
            elif kind == "navigation":
                self._page_hash = message.navigation.page_script_hash
            elif kind == "auto_rerun":
                self.followed[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            elif kind == "stop_auto_rerun":
                self.followed.clear()
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
        self.drawn.see(element)
        if self._record.secrets:
            self._record.see_text(str(message.delta))
        if kind == "exception":
            self._record.exceptions.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "button":
            self.buttons[element.button.id.rpartition("-")[2]] = element.button.id
        elif kind == "vega_lite_chart":
            self._record.counts["charts drawn"] += 1
        elif kind == "markdown" and element.markdown.allow_html:
            self._record.exceptions.append(f"markdown with HTML: {element.markdown.body[:80]!r}")
