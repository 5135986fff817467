"""The section of a page about one pair that tells the same over a prompt set, or how to choose one."""

from __future__ import annotations

import streamlit as st

from analysis.answers import answer, on_behalf_of
from analysis.errors import PathscopeError
from analysis.requests import Experiment
from analysis.results import PromptSet
from analysis.sets import READY_SIZE, kind_of
from pages.shared.disclosure import without_places
from pages.shared.keys import Key
from pages.shared.navigation import PROMPT_SET, page_link
from pages.shared.set_answers import want
from pages.shared.set_state import ALONE, pair_of, set_of
from pages.shared.set_words import few_prompts
from pages.shared.visitor import visitor


def prompts_at_hand(
    experiment: Experiment, what: tuple[object, ...] = (), *, within: bool = True
) -> PromptSet | None:
    """Begin the section; the set that is chosen. Where none is, it says that this is one prompt: None.

    The section stands `within` another, or for itself. `what` is what `wanted_of` the experiment takes beside
    it.
    """
    (st.subheader if within else st.header)("Over the prompt set")
    word: str | None = st.session_state.get(Key.SET)
    if word in (None, ALONE):
        _one_prompt(experiment, what)
        return None
    try:
        with on_behalf_of(visitor()):
            prompts = set_of(word, experiment, lambda request: answer(request).result)
    except PathscopeError as error:
        st.text(without_places(str(error)))
        return None
    if len(prompts) == 1:
        _one_prompt(experiment, what)
        return None
    return prompts


def wanted_of(experiment: Experiment, *what: object) -> tuple[object, ...]:
    """What a person who has something computed over the set at hand has wanted."""
    return (st.session_state.get(Key.SET), experiment.model, *what)


def _one_prompt(experiment: Experiment, what: tuple[object, ...]) -> None:
    """Says so, and leads to more."""
    st.text(few_prompts(1))
    kind = kind_of(pair_of(experiment))
    with st.container(horizontal=True, vertical_alignment="center"):
        if kind is not None:
            st.button(
                f"Over {READY_SIZE} prompts of this kind",
                key=f"{Key.SET_OVER}_kind",
                icon=":material/library_books:",
                on_click=_take_kind,
                args=(kind.name, experiment, what),
            )
        page_link(PROMPT_SET, "Choose a prompt set")


def _take_kind(kind: str, experiment: Experiment, what: tuple[object, ...]) -> None:
    st.session_state[Key.SET] = f"{kind}-{READY_SIZE}"
    want(wanted_of(experiment, *what))
