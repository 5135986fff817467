"""Live proof that the numbers can be trusted: identities and parity checks on this experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import Answer, answer
from analysis.errors import PathscopeError
from analysis.requests import Experiment
from analysis.results import SanityRequest, SanityResult
from pages.shared import circuit_state
from pages.shared.cards import answer_or_stop, provenance_panel
from pages.shared.experiment import experiment_at_hand
from pages.shared.heights import kept_place, table_height
from pages.shared.history import keep
from pages.shared.keys import Key
from pages.shared.notes import escaped
from pages.shared.set_checks import checks_over_the_set
from pages.shared.shown_results import checks_table, of_sanity
from pages.shared.take_along import take_along
from pages.shared.terms import TERMS

if TYPE_CHECKING:
    import pandas as pd


def as_read(table: pd.DataFrame) -> pd.DataFrame:
    """The checks as a person reads them."""
    small = {
        name: [f"{value:.2e}" if value else "0" for value in table[name]] for name in ("measured", "limit")
    }
    return table.assign(passed=table["passed"].map({True: "✓ pass", False: "✗ FAIL"}), **small)


def narrow(table: pd.DataFrame) -> pd.DataFrame:
    """`table` in three columns, which a phone shows whole: what scrolls sideways no key would reach."""
    below = table["passed"].str.startswith("✓").map({True: "≤", False: "not ≤"})
    return table.assign(
        **{
            "what must hold": "**"
            + table["check"].map(escaped)
            + "**: "
            + table["what must hold"].map(escaped),
            "measured, limit": table["measured"] + " " + below + " " + table["limit"],
        }
    ).set_index("passed")[["what must hold", "measured, limit"]]


def checked(experiment: Experiment) -> Answer[SanityResult]:
    """The checks; those of circuits on "my circuit", unless it is of another model."""
    try:
        return answer(SanityRequest(experiment, circuit_state.pins()))
    except PathscopeError:
        return answer(SanityRequest(experiment))


experiment = experiment_at_hand()
st.title("Sanity checks")
st.caption(
    "What must hold for any model and any prompts, measured now on this very experiment. A check passes if "
    "what is measured is at most the limit."
)
found = answer_or_stop(lambda: checked(experiment), "Measuring the identities on this experiment")
result = found.result
table = checks_table(result)
held = f"{table['passed'].sum()} of {len(table)}"
with st.container(key=Key.METRICS):
    st.metric("Checks that hold", held, width="content", help=TERMS["identity"])
with kept_place("checks", table_height(len(table))):
    st.table(narrow(as_read(table)), border="horizontal")
take_along(of_sanity(result))
checks_over_the_set(result.request)
keep(result.request, sentence=f"{held} identities hold on this experiment.")
provenance_panel(result, found.from_store)
