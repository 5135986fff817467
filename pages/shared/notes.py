"""Sentences that stop nothing, drawn in this one place: as plain text, in order, each once in a run."""

from __future__ import annotations

import streamlit as st

from analysis.policy import policy
from analysis.results import Result
from analysis.store import open_store
from pages.shared.disclosure import without_places
from pages.shared.keys import Key

#: Seconds for which a page tells of what happened to the store. What lasts happens anew in each run.
_RECENT = 60.0


def begin_notes() -> None:
    """Forget what an earlier run has told, and tell what led to this one; every run begins with this."""
    st.session_state[Key.NOTES] = []
    note(*st.session_state.pop(Key.TO_TELL, ()))


def tell(sentence: str | None) -> None:
    """Have the run that a press leads to draw `sentence`: for callbacks, which come before the run begins."""
    st.session_state[Key.TO_TELL] = (*st.session_state.get(Key.TO_TELL, ()), sentence)


def note(*sentences: str | None) -> None:
    """Draw those `sentences` that this run has not drawn yet."""
    told = st.session_state[Key.NOTES]
    for sentence in sentences:
        sentence = without_places(sentence or "")
        if sentence and sentence not in told:
            told.append(sentence)
            with st.container(border=True, horizontal=True, key=f"note_{len(told)}"):
                st.markdown(":material/info:", width="content")
                st.text(sentence, width="stretch")


def escaped(text: str) -> str:
    """`text` for labels, read as markdown: a backslash before each mark keeps it as it is."""
    return "".join(f"\\{mark}" if mark in r"\`*_{}[]()<>#+-.!|~:$" else mark for mark in text)


def result_notes(result: Result, of_the_store: str | None = None) -> None:
    """What has to be said with the numbers of `result`: of the store, then of the numbers themselves.

    `of_the_store` is why the result could not be stored, if it could not. Else the page tells what else
    has just befallen the store.
    """
    if not policy().hosted:  # strangers can do nothing about the store
        note(*([of_the_store] if of_the_store else open_store().notices(_RECENT)))
    note(*result.provenance.notes)
