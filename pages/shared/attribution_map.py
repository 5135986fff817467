"""Attribution as a map of every node: the strongest, the one that is selected from near, the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import answer
from analysis.labels import node_name
from analysis.requests import Experiment
from analysis.results import NodeAttributionRequest, NodeAttributionResult, RunShown
from pages.shared.attribution_parts import largest_first, largest_list, sum_of_parts
from pages.shared.cards import answer_or_stop, provenance_panel
from pages.shared.findings import largest_nodes
from pages.shared.heights import draw_chart
from pages.shared.history import keep
from pages.shared.keys import Key
from pages.shared.navigation import CIRCUIT, page_link
from pages.shared.near import near_panel
from pages.shared.neurons import neurons_panel
from pages.shared.position import chosen_position
from pages.shared.resolution import resolution_caption
from pages.shared.selection import selection_box
from pages.shared.set_item import node_over_the_set
from pages.shared.shown_results import of_nodes
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import pandas as pd
    from streamlit.delta_generator import DeltaGenerator


def attribution_map(experiment: Experiment, run: RunShown, row: DeltaGenerator) -> None:
    """The whole view; the control of the position is drawn into `row`."""
    waiting = "Attributing the logit difference"
    found = answer_or_stop(lambda: answer(NodeAttributionRequest(experiment)), waiting)
    result = found.result
    with row:
        position = chosen_position(result.tokens(run))
    at = len(result.clean_tokens) - 1 if position is None else position
    table = largest_first(result.table(run, position))
    here = largest_first(result.table(run, at))
    finding = largest_nodes(result, run, at)
    st.text(finding)
    keep(result.request, sentence=finding, values=result.by_layer(run, at))
    bias = 0.0 if run == "clean_minus_corrupted" else result.bias_difference
    sum_of_parts(float(result.shown(run)[:, at].sum()), bias, float(result.whole(run)[at]))
    selected = _selected(result, here)
    left, right = st.columns([7, 4], gap="large")
    with left:
        _draw(result, run, position, selected)
        nodes = [node for node in here["node"] if not node.startswith("bias")]
        told = "Click a node, or choose it here, to see it from near"
        selection_box(Key.NODE_LIST, told, nodes, selected, node_name)
    with right:
        st.header("Largest")
        largest_list(table, "node", "name", *([] if position is not None else ["position"]))
        resolution_caption(result, table["below_resolution"], "nodes")
    with st.container(border=True, key="node_from_near"):
        st.header(node_name(selected))
        near_panel(experiment, "logit_difference", selected)
        if selected.startswith("MLP"):
            st.subheader("Its neurons")
            neurons_panel(experiment, selected, run, at)
        node_over_the_set(experiment, selected, run)
        page_link(CIRCUIT, f"{selected} in the circuit", selected=selected)
    take_along(of_nodes(result, run, position))
    provenance_panel(result, found.from_store)


def _selected(result: NodeAttributionResult, table: pd.DataFrame) -> str:
    """The node that is selected, here or on another page (of a path its writer), else the strongest."""
    label = str(st.session_state.get(Key.SELECTED) or "").partition(" → ")[0]
    nodes = [node for node in table["node"] if not node.startswith("bias")]
    return label if label in result.labels and not label.startswith("bias") else [*nodes, "embed"][0]


def _draw(result: NodeAttributionResult, run: RunShown, position: int | None, selected: str) -> None:
    """The map at one position, or the strongest nodes at all; a click selects a node."""
    from analysis.charts import node_map_chart, node_positions_chart

    theme = current_theme()
    chart = (
        node_positions_chart(result, run, theme)
        if position is None
        else node_map_chart(result, run, position, theme, selected)
    )
    draw_chart("nodes", chart, key=Key.NODE_MAP, on_select=_take_click, selection_mode="node")


def _take_click() -> None:
    picked = st.session_state[Key.NODE_MAP].selection.get("node") or []
    if picked:
        st.session_state[Key.SELECTED] = picked[0]["node"]
