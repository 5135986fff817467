"""A list to choose from, for what is also chosen elsewhere: on a map, in the address, by a button."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import streamlit as st

from pages.shared.keys import Key

V = TypeVar("V", bound=str)


def listed(
    key: Key, label: str, titles: Mapping[V, str], held: V, take: Callable[[V], None], help: str | None = None
) -> None:
    """Draw the list of `titles`, in which what is `held` is chosen; `take` is called with another choice.

    What is held stands under keys of its own: a widget's may not be set by what is drawn after it. The list
    can be searched, and reached with the keyboard.
    """
    # In every run: a browser that is told once, and anew before it has drawn that, begins with the first.
    st.session_state[key] = held
    st.selectbox(
        label,
        [*titles],
        format_func=titles.__getitem__,
        key=key,
        on_change=lambda: take(st.session_state[key]),
        help=help,
        width=260,
    )
