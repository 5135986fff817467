"""Cards that several pages show: errors, provenance, the aligned prompt pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from analysis.answers import Answer, answer, on_behalf_of
from analysis.errors import PathscopeError, Remedy
from analysis.requests import Experiment
from analysis.results import OverviewRequest, OverviewResult, Result
from pages.shared.disclosure import without_places
from pages.shared.draft import refuse_what_is_known_to_fail
from pages.shared.heights import kept_place
from pages.shared.keys import Key
from pages.shared.notes import escaped, note, result_notes
from pages.shared.tokens import pair_chips
from pages.shared.visitor import visitor

R = TypeVar("R", bound=Result)

#: Pixels of a row of tokens.
_CHIPS = 50


def answer_or_stop(
    ask: Callable[[], Answer[R]], waiting: str, kept: tuple[type[PathscopeError], ...] = ()
) -> Answer[R]:
    """What `ask` answers; an error is drawn as a card and ends the page's run, but for those `kept`."""
    try:
        refuse_what_is_known_to_fail()
        with st.spinner(waiting, show_time=True), on_behalf_of(visitor()):
            found = ask()
    except kept:
        raise
    except PathscopeError as error:
        error_card(str(error), error.remedies)
        st.stop()
    result_notes(found.result, found.note)
    return found


def overview_or_stop(experiment: Experiment) -> Answer[OverviewResult]:
    """The experiment at a glance; every page that patches needs its tokens and the model's size."""
    return answer_or_stop(
        lambda: answer(OverviewRequest(experiment)), "Loading the model and running both prompts"
    )


def error_card(message: str, remedies: tuple[Remedy, ...] = ()) -> None:
    """What is wrong, as plain text, and one button for each way out."""
    with st.container(border=True, key="error_card"):
        st.markdown(":material/error: **This experiment cannot be computed as it stands**")
        st.text(without_places(message))
        for index, remedy in enumerate(remedies):
            st.button(
                escaped(remedy.label),
                key=f"remedy_{index}",
                on_click=_apply,
                args=(remedy,),
                icon=":material/build:",
            )


def identical_note(result: OverviewResult) -> None:
    """Say so when the two prompts are the same: there is nothing to patch."""
    if not result.differences:
        note("The two prompts are identical, so every path effect is zero by definition.")


def _apply(remedy: Remedy) -> None:
    st.session_state[remedy.field] = remedy.value


def aligned_prompts(result: OverviewResult) -> None:
    """Both prompts token by token, with a mark on each position where they differ."""
    with kept_place("pair", _CHIPS):
        pair_chips(result.clean_tokens, result.corrupted_tokens, result.differences)


def provenance_panel(result: Result, from_store: bool, beside: Result | None = None) -> None:
    """Where the numbers on this page come from; of two results, those of A and, `beside` it, of B."""
    st.caption("Read from the store." if from_store else "Computed just now.")
    # The label stays as it is: with another one the panel would be another, and closed.
    panel = st.expander(
        "Where these numbers come from", icon=":material/fingerprint:", key=Key.PROVENANCE, on_change="rerun"
    )
    # A closed panel's table would cost every visit as much as an open one's.
    if panel.open:
        rows = result.provenance.rows()
        values = {"value" if beside is None else "A": list(rows.values())}
        if beside is not None:
            values["B"] = list(beside.provenance.rows().values())
        # As wide as a fingerprint needs.
        wide = st.column_config.TextColumn(width=600)
        panel.dataframe(
            {"what": list(rows), **values},
            hide_index=True,
            width="stretch",
            column_config=dict.fromkeys(values, wide),
        )
