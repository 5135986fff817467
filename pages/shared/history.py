"""What was looked at, on whichever page: kept for the browser, or for the visit where it keeps no cookies."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.errors import PathscopeError
from analysis.kept import Entry, History, change_history, looked_at, read_history
from analysis.results import Request
from pages.shared import address
from pages.shared.browser_name import browser_name
from pages.shared.keys import Key
from pages.shared.navigation import leaf_at_hand
from pages.shared.notes import note, tell

if TYPE_CHECKING:
    from jaxtyping import Float


def begin_visit() -> None:
    """Say when this visit began, once."""
    st.session_state.setdefault(Key.VISIT, time.time())


def history() -> History:
    """What was looked at, newest first."""
    name = browser_name()
    if name is None:
        held: History = st.session_state.get(Key.HISTORY, ())
        return held
    return read_history(name)


def change(edit: Callable[[History], History]) -> None:
    """Keep what `edit` makes of the history at a press; the run that follows tells what cannot be done."""
    tell(_changed(edit))


def _changed(edit: Callable[[History], History]) -> str | None:
    """Keep what `edit` makes of the history; what cannot be done, if anything."""
    name = browser_name()
    try:
        if name is not None:
            return change_history(name, edit)
        st.session_state[Key.HISTORY] = edit(history())
    except PathscopeError as error:
        return str(error)
    return None


def keep(*requests: Request, sentence: str, values: Float[np.ndarray, "row column"] | None = None) -> None:
    """Keep the result of `requests` as it is seen on this page; `values` are what its small picture shows.

    To be called once the page has all it shows: a result that is not there is nothing to go back to.
    """
    from analysis.charts import picture_of

    leaf = leaf_at_hand()
    if leaf is None:
        return
    picture = None if values is None or not values.size else picture_of(values)
    entry = Entry.of(
        leaf.title, requests, words=address.held(), sentence=sentence, seen=time.time(), picture=picture
    )
    told = (entry.number, entry.sentence, dict(entry.words))
    # A page is run again and again, mostly with nothing new on it.
    if st.session_state.get(Key.HISTORY_SEEN) != told:
        st.session_state[Key.HISTORY_SEEN] = told
        note(_changed(looked_at(entry)))


def strongest_of(values: Float[np.ndarray, "*place other1 other2"]) -> Float[np.ndarray, "*place"]:
    """Of each place, the value over the last two axes that is largest in size; NaN where there is none."""
    flat = values.reshape(*values.shape[:-2], -1)
    size = np.where(np.isnan(flat), -1.0, np.abs(flat))
    found: np.ndarray = np.take_along_axis(flat, size.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return found
