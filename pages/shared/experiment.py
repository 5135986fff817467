"""The experiment sidebar that every page shares."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from analysis.demo_model.examples import EXAMPLES
from analysis.models import entries
from analysis.requests import Experiment
from pages.shared.keys import URL, Key
from pages.shared.navigation import enter_through_the_app

_WORDMARK = Path(__file__).with_name("wordmark.svg")
_PROMPT_KEYS = (Key.CLEAN, Key.CORRUPTED, Key.ANSWER, Key.FOIL)


def experiment_sidebar() -> Experiment:
    """Draw the sidebar and return the experiment that it describes."""
    enter_through_the_app()
    _fill_in_defaults()
    st.session_state[Key.EXAMPLE] = _example_of_the_fields()
    st.logo(_WORDMARK, size="large")
    with st.sidebar:
        model = st.selectbox(
            "Model",
            [entry.name for entry in entries()],
            key=Key.MODEL,
            bind=URL,
            accept_new_options=True,
            help="Choose one, or type a Hugging Face id or the path of a local model folder.",
        )
        _model_note(model)
        example = st.selectbox(
            "Ready example",
            range(len(EXAMPLES)),
            format_func=lambda index: EXAMPLES[index].title,
            key=Key.EXAMPLE,
            index=None,
            placeholder="Your own prompts",
            on_change=_take_example,
        )
        if example is not None:
            st.caption(EXAMPLES[example].explanation)
        st.text_area("Clean prompt", key=Key.CLEAN, bind=URL, height=85)
        st.text_area(
            "Corrupted prompt",
            key=Key.CORRUPTED,
            bind=URL,
            height=85,
            help="Token by token as long as the clean prompt; what differs is what gets patched.",
        )
        left, right = st.columns(2)
        left.text_input(
            "Answer", key=Key.ANSWER, bind=URL, help="One token, mostly with a leading space: ' Mary'."
        )
        right.text_input("Foil", key=Key.FOIL, bind=URL, help="The token the corrupted prompt should bring.")
        st.button(
            "Swap clean and corrupted",
            key=Key.SWAP,
            icon=":material/swap_vert:",
            on_click=_swap,
            width="stretch",
            help="Exchanges the two prompts, and answer with foil.",
        )
    prompts = {key.value: str(st.session_state[key] or "") for key in _PROMPT_KEYS}
    return Experiment(model=model or "", **prompts)


def _fill_in_defaults() -> None:
    """The first example, wherever neither the session nor the URL says otherwise."""
    for key in _PROMPT_KEYS:
        if key not in st.query_params:
            # Set anew in each run, because Streamlit 1.67 takes a value that was set before its widget's
            # first run to no other page. Not written to the URL: each write is a step of Back.
            st.session_state[key] = st.session_state.get(key, getattr(EXAMPLES[0], key))


def _example_of_the_fields() -> int | None:
    """The example that the four fields spell out, however they were filled in."""
    fields = [st.session_state.get(key, st.query_params.get(key)) for key in _PROMPT_KEYS]
    spelt = [[getattr(example, key) for key in _PROMPT_KEYS] for example in EXAMPLES]
    return spelt.index(fields) if fields in spelt else None


def _take_example() -> None:
    index = st.session_state[Key.EXAMPLE]
    if index is not None:
        for key in _PROMPT_KEYS:
            st.session_state[key] = getattr(EXAMPLES[index], key)


def _swap() -> None:
    state = st.session_state
    state[Key.CLEAN], state[Key.CORRUPTED] = state[Key.CORRUPTED], state[Key.CLEAN]
    state[Key.ANSWER], state[Key.FOIL] = state[Key.FOIL], state[Key.ANSWER]


def _model_note(model: str | None) -> None:
    for entry in entries():
        if entry.name == model:
            st.caption(entry.description)
