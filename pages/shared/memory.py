"""What a visitor has chosen, kept from page to page.

Streamlit 1.67 drops a widget's value and its URL parameter when another page draws the same widget.
"""

from __future__ import annotations

import streamlit as st

from pages.shared.keys import CHOICES, Key


def recall(page: str) -> None:
    """On the first run after a change of page, put back what was chosen; call before any widget."""
    state = st.session_state
    if state.get(Key.PAGE) not in (None, page):
        for key, value in state[Key.CHOSEN].items():
            state[key] = value
    state[Key.PAGE] = page
    remember()


def remember() -> None:
    """Note what is chosen now."""
    state = st.session_state
    chosen = state.get(Key.CHOSEN, {})
    state[Key.CHOSEN] = chosen | {key: state[key] for key in CHOICES if key in state}
