"""A prompt set in tables: its pairs, and effects that agree over them or do not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.labels import number, percent, printable
from analysis.requests import RUN_NAMES, MetricName
from analysis.results import PromptSet, TextPair
from pages.shared.heights import grid_height
from pages.shared.keys import PROMPT_KEYS, Key
from pages.shared.set_results import SetResults
from pages.shared.set_state import word_of

if TYPE_CHECKING:
    import pandas as pd

#: Rows that a page shows; the CSV has all.
_MOST_ROWS = 30
#: Characters of a text in a cell.
_LONGEST = 200
_ROBUST = "background-color: rgba(224, 123, 57, 0.25); font-weight: 600"


def pairs_table(found: SetResults, metric: MetricName) -> pd.DataFrame:
    """One row per prompt that the model takes.

    Columns: prompt (its number), clean, corrupted, answer, foil, tokens, clean_metric, corrupted_metric.
    """
    import pandas as pd

    pairs = [found.prompts.pairs[number - 1] for number in found.numbers]
    table = pd.DataFrame(pairs, columns=TextPair._fields)
    table.insert(0, "prompt", found.numbers)
    metrics = dict(zip((f"{run}_metric" for run in RUN_NAMES), found.metrics(metric).T, strict=True))
    return table.assign(tokens=[len(overview.clean_tokens) for overview in found.overviews], **metrics)


def pairs_view(table: pd.DataFrame, prompts: PromptSet) -> None:
    """The pairs; one that is selected can be taken into the sidebar."""
    texts = {column: [repr(printable(text, _LONGEST)) for text in table[column]] for column in PROMPT_KEYS}
    formats = {f"{run}_metric": partial(number, form="+.3f") for run in RUN_NAMES}
    event = st.dataframe(
        table.assign(**texts).style.format(formats),
        hide_index=True,
        width="stretch",
        height=grid_height(len(table)),
        key=Key.SET_PAIRS,
        on_select="rerun",
        selection_mode="single-row",
        column_config={f"{run}_metric": st.column_config.NumberColumn(f"metric, {run}") for run in RUN_NAMES},
    )
    rows = [row for row in event["selection"]["rows"] if row < len(table)]
    if rows:
        chosen = int(table["prompt"].iloc[rows[0]])
        st.button(
            f"Take prompt {chosen} into the sidebar",
            key=Key.SET_OPEN,
            icon=":material/input:",
            on_click=_take_pair,
            args=(prompts, chosen),
        )


def _take_pair(prompts: PromptSet, chosen: int) -> None:
    """Fill in the pair for every other page; the set at hand stays what it is."""
    if st.session_state.get(Key.SET) is None:
        st.session_state[Key.SET] = word_of(prompts)
    for key, text in zip(PROMPT_KEYS, prompts.pairs[chosen - 1], strict=True):
        st.session_state[key] = text


def agreement_view(table: pd.DataFrame, called: str, unit: str) -> None:
    """The items with the largest means: `called` in the heading, numbers in `unit`, robust ones marked."""
    import pandas as pd

    rows = table.head(_MOST_ROWS)
    of = rows["prompts"].astype(str)
    shown = pd.DataFrame(
        {
            called: rows["item"],
            # The numbers come first: on a phone the last columns are beyond the edge.
            "mean": rows["mean"],
            "error": rows["standard_error"],
            "robust": np.where(rows["robust"], "robust", ""),
            "sign": rows["same_sign"].astype(str) + " of " + of,
            "strongest": rows["strongest"].astype(str) + " of " + of,
            "interval": [_interval(low, high) for low, high in zip(rows["low"], rows["high"], strict=True)],
            "share": rows["share"],
        }
    )
    marks = [_ROBUST if robust else "" for robust in rows["robust"]]
    formats = {"mean": partial(number, form="+.3f"), "error": _error, "share": _share}
    number_column = st.column_config.NumberColumn
    st.dataframe(
        shown.style.format(formats).apply(lambda _: marks, axis=0),
        hide_index=True,
        width="stretch",
        height=grid_height(len(shown)),
        column_config={
            "mean": number_column(f"mean ({unit})"),
            "error": number_column("± error", help="Standard error of the mean over prompts."),
            "interval": st.column_config.TextColumn(
                "95 % interval", help="Percentile bootstrap over prompts."
            ),
            "share": number_column("share", help="Mean effect over mean difference: a ratio of means."),
            "sign": st.column_config.TextColumn("same sign", help="Prompts in which it has the mean's sign."),
            "strongest": st.column_config.TextColumn(
                "among top 10", help="Prompts in which it is one of the ten largest, in size."
            ),
        },
    )


def _interval(low: float, high: float) -> str:
    return "" if np.isnan(low) else f"{number(low, '+.3f')} to {number(high, '+.3f')}"


def _error(error: float) -> str:
    return "" if np.isnan(error) else number(error, ".3f")


def _share(share: float) -> str:
    return "" if np.isnan(share) else percent(share, 1)
