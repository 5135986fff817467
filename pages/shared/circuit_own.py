"""My circuit: the paths kept, the groups, and the search for the smallest circuit that holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis import jobs
from analysis.answers import stored
from analysis.exports import LONGEST_NAME
from analysis.labels import counted, percent
from analysis.results import CircuitRequest, CircuitResult, EdgeLabels, GraphResult
from pages.shared import circuit_state
from pages.shared.circuit_detail import known_nodes
from pages.shared.keys import KEPT, Key
from pages.shared.navigation import SANITY_CHECKS, page_link
from pages.shared.notes import note
from pages.shared.terms import TERMS, meaning_of
from pages.shared.work import result_or_progress

if TYPE_CHECKING:
    from analysis.charts import Drawing


def search_panel(graph: GraphResult) -> None:
    """Search for the smallest set of paths that is as faithful as asked, in the background."""
    st.header("Find a circuit")
    st.slider(
        "Faithfulness",
        0.5,
        1.0,
        step=0.01,
        key=Key.FAITHFULNESS,
        persist_state=KEPT,
        format="percent",
        help=meaning_of("faithful"),
    )
    request = CircuitRequest(
        graph.request.experiment, st.session_state[Key.FAITHFULNESS], graph.request.metric
    )
    found = stored(request)
    answer = found or result_or_progress(
        request, "Ranking every path", follow_search, button="Find the smallest circuit", stopped=show_found
    )
    if answer is not None:
        show_found(answer.result)


def follow_search(job: jobs.Job[CircuitResult], result: CircuitResult) -> None:
    """What the search has found so far stands in its bar."""


def show_found(result: CircuitResult) -> None:
    """The smallest circuit so far, and a button that draws it."""
    if not result.sizes:
        return
    st.text(
        f"{len(result.edges):,} of {len(result.graph):,} paths keep {percent(result.faithfulness)} of the "
        "difference, all others as in the corrupted run. No smaller set was found; there may be one."
    )
    if not result.reached:
        note("No set of paths is as faithful as asked; this is the most faithful one that was found.")
    st.button(
        "Draw it as my circuit",
        key="take_found",
        icon=":material/account_tree:",
        on_click=circuit_state.only_pins,
        args=(result.labels,),
    )


def my_circuit(graph: GraphResult, drawing: Drawing, edges: EdgeLabels) -> None:
    """What is kept, whatever the sliders say, and the groups."""
    st.header("My circuit")
    kept = circuit_state.pins()
    st.caption(
        f"{counted(len(kept), 'path')} kept, whatever the sliders say."
        if kept
        else "Nothing is kept yet. Select a path and keep it, or keep all that are drawn."
    )
    with st.container(horizontal=True):
        st.button(
            "Keep all that are drawn",
            key="pin_all",
            icon=":material/keep:",
            on_click=circuit_state.only_pins,
            args=(edges,),
            disabled=set(edges) == set(kept),
        )
        st.button("Clear", key="clear", on_click=circuit_state.unpin, args=kept, disabled=not kept)
    if kept:
        page_link(SANITY_CHECKS, "Check my circuit by hooks on the model")
    group_form(graph, drawing)


def group_form(graph: GraphResult, drawing: Drawing) -> None:
    """Name a few nodes, to draw them as one."""
    with st.expander("Groups", icon=":material/workspaces:"), st.form("group", border=False):
        st.caption(TERMS["group"])
        name = st.text_input("Name", key="group_name", max_chars=LONGEST_NAME, help=meaning_of("group"))
        nodes = st.multiselect(
            "Nodes", known_nodes(graph.graph, drawing), key="group_nodes", help=meaning_of("node")
        )
        if st.form_submit_button("Draw as one"):
            fault = circuit_state.fault_of_name(name, graph.graph) or (
                None if nodes else "Choose the nodes of the group."
            )
            if fault:
                st.text(fault)
            else:
                circuit_state.set_group(name.strip(), tuple(nodes))
                st.rerun()
