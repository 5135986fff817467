"""The controls that choose a prompt set: a ready one, the pair alone, a table, or a template."""

from __future__ import annotations

import streamlit as st

from analysis.answers import answer
from analysis.errors import PathscopeError
from analysis.labels import counted
from analysis.models import ready_examples
from analysis.policy import policy
from analysis.requests import Experiment
from analysis.results import MOST_PAIRS, PromptSet
from analysis.sets import (
    LONGEST_TEMPLATE,
    MOST_BYTES,
    READY_KINDS,
    READY_SIZE,
    TEMPLATE_SLOTS,
    read_table,
)
from pages.shared.cards import answer_or_stop, error_card
from pages.shared.keys import Key
from pages.shared.set_state import (
    ALONE,
    ready_set,
    set_of,
    template_set,
    word_at_hand,
    word_of,
)
from pages.shared.terms import meaning_of
from pages.shared.uploads import expect_files

#: Options for a set that was made below, offered while it is at hand.
_OWN, _TEMPLATE = "own", "template"
_OTHER_TITLES = {_OWN: "Your own prompts", _TEMPLATE: "From your template"}
_FIRST_TEMPLATE = "When {A} and {B} went to the {place}, {S} gave a {object} to"


def chosen_set(experiment: Experiment) -> PromptSet:
    """Draw the controls; the set that is chosen in them."""
    word = word_at_hand(experiment)
    _ready_controls(word, experiment.model)
    with st.expander("Your own prompts", icon=":material/upload_file:"):
        paste, template, *upload = st.tabs(
            ["Paste a table", "Fill a template", *([] if policy().hosted else ["Upload a table"])]
        )
        with paste:
            _paste()
        with template:
            _template(word)
        for tab in upload:
            with tab:
                _upload()
    try:
        return set_of(
            word,
            experiment,
            lambda request: answer_or_stop(lambda: answer(request), "Drawing pairs").result,
        )
    except PathscopeError as error:
        error_card(str(error), error.remedies)
        st.stop()


def _ready_controls(word: str, model: str) -> None:
    ready = ready_set(word)
    kind = ready[0] if ready else ALONE if word == ALONE else _TEMPLATE if template_set(word) else _OWN
    titles = {
        name: f"Same kind: {known.example.title}"
        for name, known in READY_KINDS.items()
        if name == kind or known.example in ready_examples(model)
    }
    titles |= {ALONE: "The pair in the sidebar, alone"}
    titles |= {name: title for name, title in _OTHER_TITLES.items() if name == kind}
    # As the word says, however it was chosen.
    st.session_state[Key.SET_KIND] = kind
    with st.container(horizontal=True, gap="medium"):
        st.selectbox(
            "Prompt set",
            [*titles],
            format_func=titles.__getitem__,
            key=Key.SET_KIND,
            on_change=_take_ready,
            width=420,
            help=meaning_of("prompt set", "robust"),
        )
        if ready:
            st.session_state[Key.SET_SIZE] = ready[1]
            st.number_input(
                "Prompts",
                1,
                # What an address asks for is refused below, in a sentence.
                max(ready[1], policy().pairs or MOST_PAIRS),
                key=Key.SET_SIZE,
                on_change=_take_ready,
                width=130,
                help="How many pairs there are: the ready example, and others of its kind.",
            )


def _take_ready() -> None:
    kind = st.session_state[Key.SET_KIND]
    if kind in READY_KINDS:
        st.session_state[Key.SET] = f"{kind}-{st.session_state.get(Key.SET_SIZE, READY_SIZE)}"
    elif kind == ALONE:
        st.session_state[Key.SET] = ALONE


def _take_own(prompts: PromptSet) -> None:
    st.session_state[Key.SET] = word_of(prompts)


def _paste() -> None:
    with st.form("paste", border=False):
        text = st.text_area(
            "A table with the columns clean, corrupted, answer, foil",
            key=Key.SET_TEXT,
            max_chars=MOST_BYTES,
            height=140,
            placeholder="clean,corrupted,answer,foil\n"
            "The day after Monday is,The day after Friday is, Tuesday, Saturday",
            help="CSV, the same with tabs (as a spreadsheet copies it), or JSON lines. Answer and foil begin "
            "with a space mostly.",
        )
        st.form_submit_button("Read it", key=Key.SET_READ, icon=":material/keyboard_return:")
    if text:
        _offer(text, "paste")


def _upload() -> None:
    """A file; none is taken from strangers."""
    expect_files(True)
    file = st.file_uploader(
        f"CSV, TSV or JSON lines, at most {MOST_BYTES // 1000} kB",
        type=["csv", "tsv", "txt", "jsonl", "ndjson"],
        key=Key.SET_FILE,
        max_upload_size=1,
    )
    if file is not None:
        _offer(file.getvalue(), "upload")


def _offer(table: bytes | str, where: str) -> None:
    """What a table holds, which rows were left out, and a button that takes the rest."""
    try:
        read = read_table(table)
        for sentence in read.left_out:
            st.text(sentence)
        prompts = read.prompt_set
    except PathscopeError as error:
        st.text(str(error))
        return
    st.button(
        f"Use {counted(len(prompts), 'pair')}",
        key=f"{Key.SET_TAKE}_{where}",
        on_click=_take_own,
        args=(prompts,),
        type="primary",
    )


def _template(word: str) -> None:
    template, size = template_set(word) or (_FIRST_TEMPLATE, READY_SIZE)
    st.caption(
        "A and B are two people. S is the one who acts: B in the clean prompt, so that A is the answer, and "
        "A in the corrupted one. All words are one token of the model at hand. Slots: "
        + ", ".join(f"`{{{slot}}}`" for slot in TEMPLATE_SLOTS)
    )
    with st.form("template", border=False):
        left, right = st.columns([6, 1], vertical_alignment="bottom")
        left.text_input(
            "Template",
            template,
            key=Key.SET_TEMPLATE,
            max_chars=LONGEST_TEMPLATE,
            help="A prompt in which each slot in braces is filled with one word.",
        )
        right.number_input(
            "Pairs",
            1,
            max(size, policy().pairs or MOST_PAIRS),
            size,
            key=Key.SET_DRAWN,
            help="How many pairs are drawn.",
        )
        st.form_submit_button(
            "Draw pairs", key=Key.SET_DRAW, icon=":material/casino:", on_click=_take_template
        )


def _take_template() -> None:
    if st.session_state[Key.SET_TEMPLATE]:
        st.session_state[Key.SET] = f"{st.session_state[Key.SET_DRAWN]}:{st.session_state[Key.SET_TEMPLATE]}"
