"""A page waits for its turn where strangers are served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import streamlit as st

from analysis.answers import drawing
from analysis.errors import PathscopeError
from pages.shared.connection import CONNECTION, when_sent
from pages.shared.keys import Key
from pages.shared.visitor import visitors_address


@contextmanager
def turn() -> Iterator[None]:
    """Wait until this page may be drawn; where too many wait already, that is all the page says.

    Its place is free again once all of it has been sent: what is drawn faster than it leaves would wait.
    """
    with ExitStack() as block:
        try:
            page = block.enter_context(drawing(visitors_address(), _is_present))
        except PathscopeError as busy:
            st.text(str(busy))
            st.stop()
        yield
        if page is not None:
            when_sent(st.context.headers.get(CONNECTION), page.keep_place())


def _is_present() -> None:
    """Streamlit ends the run here where the visitor has left, or asked for something else."""
    _ = Key.VISIT in st.session_state
