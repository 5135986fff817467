"""The control that chooses a position of the prompt, or all of them."""

from __future__ import annotations

import streamlit as st

from analysis.labels import shown_token
from pages.shared import address
from pages.shared.keys import EVERY, KEPT, LAST, Key
from pages.shared.terms import meaning_of


def chosen_position(tokens: tuple[str, ...]) -> int | None:
    """The position to show, None for all of them."""
    names = {LAST: f"Last: {shown_token(tokens[-1])}", EVERY: "All positions"}
    names |= {str(position): f"{position}: {shown_token(token)}" for position, token in enumerate(tokens)}
    if st.session_state[Key.POSITION] not in names:  # but in a longer prompt
        address.correct({Key.POSITION: LAST})
    choice = st.selectbox(
        "Position",
        [*names],
        format_func=names.__getitem__,
        key=Key.POSITION,
        persist_state=KEPT,
        width=260,
        help=meaning_of("position"),
    )
    return None if choice == EVERY else len(tokens) - 1 if choice == LAST else int(choice)
