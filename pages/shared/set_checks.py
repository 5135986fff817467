"""Which identities hold in how many prompts of a set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.exports import checks_set_code
from analysis.labels import counted
from analysis.results import SanityRequest, SanityResult
from analysis.sets import checks_over_prompts
from pages.shared.notes import escaped
from pages.shared.set_answers import OverPrompts, over_prompts, told_over
from pages.shared.set_over import prompts_at_hand, wanted_of
from pages.shared.shown import Shown
from pages.shared.take_along import take_along

if TYPE_CHECKING:
    import pandas as pd


def checks_over_the_set(asked: SanityRequest) -> None:
    """In how many prompts of the set at hand each check holds, those of circuits on the edges `asked` for."""
    experiment, what = asked.experiment, ("checks", asked.edges)
    prompts = prompts_at_hand(experiment, what, within=False)
    if prompts is None:
        return
    found = over_prompts(
        prompts,
        experiment.model,
        lambda ask, one: ask(SanityRequest(one, asked.edges)),
        wanted_of(experiment, *what),
    )
    if found is None:
        return
    table = checks_over_prompts(found.found, found.numbers)
    st.text(checks_finding(table, len(found.found)))
    st.table(_as_read(table), border="horizontal")
    take_along(of_checks(found, table, asked))


def checks_finding(table: pd.DataFrame, n_prompts: int) -> str:
    """How many checks hold in every prompt, and which of the others fails in which."""
    failing = table[table["holds"] < table["prompts"]]
    said = (
        f"{told_over(n_prompts)} {len(table) - len(failing)} of {counted(len(table), 'check')} hold in each."
    )
    fails = [f"{row['check']} fails in prompt {row['fails_in']}" for _, row in failing.iterrows()]
    return f"{said} {'; '.join(fails)}." if fails else said


def _as_read(table: pd.DataFrame) -> pd.DataFrame:
    """The checks in three columns, which a phone shows whole."""
    import pandas as pd

    holds = table["holds"].astype(str) + " of " + table["prompts"].astype(str)
    marks = (table["holds"] == table["prompts"]).map({True: "✓ ", False: "✗ "})
    measured, limits = (
        [f"{value:.2e}" if value else "0" for value in table[name]] for name in ("measured", "limit")
    )
    return pd.DataFrame(
        {
            "holds in": marks + holds,
            "check": table["check"].map(escaped),
            "nearest to its limit": [
                f"prompt {prompt}: {value}, limit {limit}"
                for prompt, value, limit in zip(table["nearest"], measured, limits, strict=True)
            ],
        }
    ).set_index("holds in")


def of_checks(found: OverPrompts[SanityResult], table: pd.DataFrame, asked: SanityRequest) -> Shown:
    """The checks over the set, as they leave."""
    return Shown(
        name="sanity_checks_over_prompts",
        title=f"Identities and parity checks over {counted(len(found.found), 'prompt')}",
        told=found,
        experiment=asked.experiment,
        sentence=checks_finding(table, len(found.found)),
        measured="All of them are measured in each prompt.",
        table=table,
        draw=None,
        codes=lambda named: (checks_set_code([*map(named, found.experiments)], asked.edges),),
    )
