"""Live proof that the numbers can be trusted: identities and parity checks on this experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import Answer, answer
from analysis.errors import PathscopeError
from analysis.exports import inert_csv
from analysis.requests import Experiment
from analysis.results import SanityRequest, SanityResult
from pages.shared import circuit_state
from pages.shared.cards import answer_or_stop, provenance_panel
from pages.shared.experiment import experiment_sidebar
from pages.shared.history import keep
from pages.shared.terms import TERMS

if TYPE_CHECKING:
    import pandas as pd


def checks_table(result: SanityResult) -> pd.DataFrame:
    """One row per check, with what was measured and what it may be at most."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "passed": "✓ pass" if measured <= limit else "✗ FAIL",
                "check": name,
                "what must hold": statement,
                "measured": f"{measured:.2e}" if measured else "0",
                "limit": f"{limit:.2e}" if limit else "0",
            }
            for name, statement, measured, limit in result.checks
        ]
    )


def checked(experiment: Experiment) -> Answer[SanityResult]:
    """The checks; those of circuits on "my circuit", unless it is of another model."""
    try:
        return answer(SanityRequest(experiment, circuit_state.pins()))
    except PathscopeError:
        return answer(SanityRequest(experiment))


experiment = experiment_sidebar()
st.title("Sanity checks")
st.caption(
    "What must hold for any model and any prompts, measured now on this very experiment. A check passes if "
    "what is measured is at most the limit."
)
found = answer_or_stop(lambda: checked(experiment), "Measuring the identities on this experiment")
result = found.result
table = checks_table(result)
failed = int(table["passed"].str.startswith("✗").sum())
held = f"{len(table) - failed} of {len(table)}"
st.metric("Checks that hold", held, width="content", help=TERMS["identity"])
st.table(table.set_index("check"), border="horizontal")
st.download_button(
    "CSV",
    data=lambda: inert_csv(table),
    file_name="sanity_checks.csv",
    mime="text/csv",
    icon=":material/download:",
    on_click="ignore",
)
keep(result.request, sentence=f"{held} identities hold on this experiment.")
provenance_panel(result, found.from_store)
