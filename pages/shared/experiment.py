"""The sidebar that all pages share, and the experiment that it describes."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from analysis.demo_model.examples import Example
from analysis.models import BUNDLED, before_loading, entries, offered, ready_examples
from analysis.policy import policy
from analysis.requests import Experiment
from pages.shared import address
from pages.shared.about import about_this_server
from pages.shared.download import download_panel, download_to_wait_for
from pages.shared.draft import draft_panel
from pages.shared.guide import guide
from pages.shared.history import begin_visit
from pages.shared.keys import KEPT, PROMPT_KEYS, Key
from pages.shared.navigation import WITHOUT_EXPERIMENT, leaf_at_hand, page_links
from pages.shared.notes import begin_notes
from pages.shared.take_along import close_take_along
from pages.shared.terms import meaning_of
from pages.shared.uploads import expect_files

_WORDMARK = Path(__file__).with_name("wordmark.svg")


def draw_sidebar() -> None:
    """Begin a run, whichever page's it is: to be called by app.py before the page."""
    _begin()
    if leaf_at_hand() in WITHOUT_EXPERIMENT:
        address.entered()
    else:
        st.session_state[Key.EXPERIMENT] = _experiment()


def experiment_at_hand() -> Experiment:
    """What this page is about, as `draw_sidebar` has read it."""
    experiment: Experiment = st.session_state[Key.EXPERIMENT]
    return experiment


def _begin() -> None:
    begin_notes()
    begin_visit()
    if address.arrived():
        expect_files(False)
        close_take_along()
    address.enter()
    st.logo(_WORDMARK, size="large")
    with st.sidebar:
        page_links()
        about_this_server()


def _experiment() -> Experiment:
    """The experiment that the fields of the sidebar describe, once they are drawn."""
    with st.sidebar:
        guide()
        model = st.selectbox(
            "Model",
            offered(),
            key=Key.MODEL,
            persist_state=KEPT,
            on_change=_follow_model,
            accept_new_options=not policy().hosted,
            help="The models that this server offers."
            if policy().hosted
            else "Choose one, or type a Hugging Face id or the path of a local model folder.",
        )
        _model_note(model)
        _example_field()
        _prompt_fields()
        st.button(
            "Swap clean and corrupted",
            key=Key.SWAP,
            icon=":material/swap_vert:",
            on_click=_swap,
            width="stretch",
            help="Exchanges the two prompts, and answer with foil.",
        )
        prompts = {key.value: str(st.session_state[key] or "") for key in PROMPT_KEYS}
        experiment = Experiment(model=model or "", **prompts)
        download = download_to_wait_for(experiment.model)
        if download is None:
            draft_panel(experiment)
    address.entered()
    if download is not None:
        download_panel(download)
    return experiment


def _example_field() -> None:
    """A list of the ready examples, and what the one at hand is about."""
    examples = _examples()
    st.session_state[Key.EXAMPLE] = _example_of_the_fields(examples)
    example = st.selectbox(
        "Ready example",
        range(len(examples)),
        format_func=lambda index: examples[index].title,
        key=Key.EXAMPLE,
        index=None,
        placeholder="Your own prompts",
        on_change=_take_example,
        help="A pair of prompts with answer and foil, of which the bundled model has learnt the kind.",
    )
    if example is not None:
        st.caption(examples[example].explanation)


def _prompt_fields() -> None:
    """The two prompts, and below them answer and foil: what is changed in them is asked for at once."""
    most = policy().prompt_characters
    with st.form("pair", border=False, enter_to_submit=True):
        st.text_area(
            "Clean prompt",
            key=Key.CLEAN,
            persist_state=KEPT,
            height=85,
            max_chars=most,
            help=meaning_of("clean and corrupted prompt"),
        )
        st.text_area(
            "Corrupted prompt",
            key=Key.CORRUPTED,
            persist_state=KEPT,
            height=85,
            max_chars=most,
            help="Token by token as long as the clean prompt; what differs is what gets patched.",
        )
        left, right = st.columns(2)
        left.text_input(
            "Answer",
            key=Key.ANSWER,
            persist_state=KEPT,
            max_chars=most,
            help="One token, mostly with a leading space: ' Mary'.",
        )
        right.text_input(
            "Foil",
            key=Key.FOIL,
            persist_state=KEPT,
            max_chars=most,
            help="The token the corrupted prompt should bring.",
        )
        st.form_submit_button("Ask", key=Key.ASK, icon=":material/keyboard_return:", width="stretch")


def _examples() -> tuple[Example, ...]:
    """Those of the model at hand."""
    return ready_examples(st.session_state[Key.MODEL] or "")


def _example_of_the_fields(examples: tuple[Example, ...]) -> int | None:
    """The one of `examples` that the four fields spell out, however they were filled in."""
    fields = [st.session_state[key] for key in PROMPT_KEYS]
    spelt = [[getattr(example, key) for key in PROMPT_KEYS] for example in examples]
    return spelt.index(fields) if fields in spelt else None


def _take_example() -> None:
    index = st.session_state[Key.EXAMPLE]
    if index is not None:
        _fill_in(_examples()[index])


def _follow_model() -> None:
    """A ready example that the model now chosen has not gives way to its first one; what was typed stays."""
    examples = _examples()
    others = tuple(example for model in BUNDLED for example in ready_examples(model))
    if _example_of_the_fields(examples) is None and _example_of_the_fields(others) is not None:
        _fill_in(examples[0])


def _fill_in(example: Example) -> None:
    for key in PROMPT_KEYS:
        st.session_state[key] = getattr(example, key)


def _swap() -> None:
    state = st.session_state
    state[Key.CLEAN], state[Key.CORRUPTED] = state[Key.CORRUPTED], state[Key.CLEAN]
    state[Key.ANSWER], state[Key.FOIL] = state[Key.FOIL], state[Key.ANSWER]


def _model_note(model: str | None) -> None:
    known = {entry.name: entry.description for entry in entries()}
    sentences = filter(None, (known.get(model or ""), before_loading(model or "")))
    if told := " ".join(sentences):
        st.caption(told)
