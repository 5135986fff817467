"""Attribution by one of the API's units: component, layer or head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import answer
from analysis.labels import node_of_part
from analysis.requests import Experiment, RunName, Unit
from analysis.results import AttributionRequest, AttributionResult
from pages.shared.attribution_parts import largest_first, largest_list, sum_of_parts
from pages.shared.cards import answer_or_stop, provenance_panel
from pages.shared.findings import largest_part
from pages.shared.heights import draw_chart
from pages.shared.history import keep
from pages.shared.navigation import CIRCUIT, page_link
from pages.shared.position import chosen_position
from pages.shared.resolution import resolution_caption
from pages.shared.set_item import node_over_the_set
from pages.shared.shown_results import of_unit
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def attribution_by_unit(experiment: Experiment, unit: Unit, run: RunName, row: DeltaGenerator) -> None:
    """The whole view; the control of the position is drawn into `row`."""
    found = answer_or_stop(
        lambda: answer(AttributionRequest(experiment, unit, run)), "Attributing the logit difference"
    )
    result = found.result
    with row:
        position = chosen_position(result.tokens)
    at = len(result.tokens) - 1 if position is None else position
    finding = largest_part(result, at)
    st.text(finding)
    keep(result.request, sentence=finding, values=result.attribution)
    sum_of_parts(
        float(result.reconstructed[at] - result.bias_difference),
        result.bias_difference,
        float(result.logit_difference[at]),
    )

    left, right = st.columns([3, 1], gap="large")
    with left:
        parts(result, position)
    with right:
        st.header("Largest")
        table = largest_first(result.table(position))
        largest_list(table, "component", *([] if position is not None else ["position"]))
        resolution_caption(result, table["below_resolution"], "parts")
    strongest_node = next(filter(None, map(node_of_part, table["component"])), None)
    if strongest_node is not None:
        page_link(CIRCUIT, f"{strongest_node} in the circuit", selected=strongest_node)
        node_over_the_set(experiment, strongest_node, run)
    take_along(of_unit(result, position))
    provenance_panel(result, found.from_store)


def parts(result: AttributionResult, position: int | None) -> None:
    """Draw what each part writes at `position`, or at every one."""
    from analysis.charts import attribution_chart

    draw_chart("parts", attribution_chart(result, position, current_theme()))
