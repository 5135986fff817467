"""Which part of the model wrote the answer: direct logit attribution."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.answers import answer
from analysis.labels import node_of_part, number, shown_token
from analysis.results import AttributionRequest, AttributionResult
from pages.shared import address
from pages.shared.cards import answer_or_stop, provenance_panel
from pages.shared.choices import RUN, UNIT
from pages.shared.downloads import downloads
from pages.shared.experiment import experiment_sidebar
from pages.shared.findings import largest_part
from pages.shared.keys import EVERY, KEPT, LAST, Key
from pages.shared.navigation import CIRCUIT, page_link
from pages.shared.resolution import resolution_caption, written
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


def chosen_position(tokens: tuple[str, ...]) -> int | None:
    """The position to show, None for all of them."""
    names = {LAST: f"Last: {shown_token(tokens[-1])}", EVERY: "All positions"}
    names |= {str(position): f"{position}: {shown_token(token)}" for position, token in enumerate(tokens)}
    if st.session_state[Key.POSITION] not in names:  # but in a longer prompt
        address.correct({Key.POSITION: LAST})
    choice = st.selectbox(
        "Position",
        [*names],
        format_func=names.__getitem__,
        key=Key.POSITION,
        persist_state=KEPT,
        width=260,
    )
    return None if choice == EVERY else len(tokens) - 1 if choice == LAST else int(choice)


def sum_of_parts(result: AttributionResult, position: int) -> None:
    """The sum of the parts beside the model's own logit difference, and the gap between them."""
    with st.container(horizontal=True, gap="large"):
        parts = result.reconstructed[position] - result.bias_difference
        st.metric("Sum of the parts", number(parts, "+.4f"), width="content")
        st.metric("Unembedding bias", number(result.bias_difference, "+.4f"), width="content")
        own = number(result.logit_difference[position], "+.4f")
        st.metric("Model's logit difference", own, width="content")
        st.metric(
            "Gap",
            number(result.gap[position], "+.1e"),
            width="content",
            help="Parts plus bias, minus the model's own logit difference: only rounding may be left.",
        )


def parts(result: AttributionResult, position: int | None) -> alt.LayerChart:
    """Draw what each part writes at `position`, or at every one."""
    from analysis.charts import attribution_chart

    chart = attribution_chart(result, position, current_theme())
    st.altair_chart(chart, width="stretch")
    return chart


def top_table(result: AttributionResult, position: int | None) -> pd.DataFrame:
    """Parts by absolute attribution, one row for each position shown; no mean over positions is taken."""
    table = result.table(position)
    order = np.argsort(-table["attribution"].abs().to_numpy(), kind="stable")
    return table.iloc[order].reset_index(drop=True)


experiment = experiment_sidebar()
st.title("Direct logit attribution")
row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
with row:
    unit, run = UNIT.draw(), RUN.draw()
st.caption(f"{UNIT.meanings[unit]} In logits; positive pushes towards the answer, negative towards the foil.")
found = answer_or_stop(
    lambda: answer(AttributionRequest(experiment, unit, run)), "Attributing the logit difference"
)
result = found.result
with row:
    position = chosen_position(result.tokens)
at = len(result.tokens) - 1 if position is None else position
st.text(largest_part(result, at))
sum_of_parts(result, at)

left, right = st.columns([3, 1], gap="large")
with left:
    chart = parts(result, position)
with right:
    st.subheader("Largest")
    table = top_table(result, position)
    columns = (
        ["component", "attribution"] if position is not None else ["component", "position", "attribution"]
    )
    largest = table.head(20)
    st.dataframe(
        written(largest[columns], {"attribution": partial(number, form="+.3f")}, largest["below_resolution"]),
        hide_index=True,
        width="stretch",
        column_config={"attribution": st.column_config.NumberColumn("logits")},
    )
    resolution_caption(result, table["below_resolution"], "parts")
strongest_node = next(filter(None, map(node_of_part, table["component"])), None)
if strongest_node is not None:
    page_link(CIRCUIT, f"{strongest_node} in the circuit", selected=strongest_node)
downloads(f"attribution_{unit}", result, table, chart)
provenance_panel(result, found.from_store)
