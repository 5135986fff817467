"""Which handful of paths is the mechanism, and does it hold: the residual graph as a picture."""

from __future__ import annotations

import streamlit as st

from analysis import jobs
from analysis.answers import stored
from analysis.results import EdgeLabels, GraphRequest, GraphResult
from pages.shared.cards import overview_or_stop, provenance_panel
from pages.shared.choices import LAYOUT, METRIC
from pages.shared.circuit_detail import detail_panel, edges_as_written
from pages.shared.circuit_graph import drawn_edges, graph_view, how_many
from pages.shared.circuit_leave import leave_panel, load_panel
from pages.shared.circuit_own import my_circuit, search_panel
from pages.shared.circuit_roles import known_of, roles_panel
from pages.shared.circuit_scores import finding_panel, own_scores, scores_panel
from pages.shared.circuit_set import circuit_over_the_set
from pages.shared.circuit_words import finding
from pages.shared.experiment import experiment_at_hand
from pages.shared.heights import grid_height
from pages.shared.history import keep
from pages.shared.keys import Key
from pages.shared.notes import note
from pages.shared.work import result_or_progress


def show(result: GraphResult) -> None:
    """The graph, what it is worth, what is selected."""
    note(*result.provenance.notes)
    how_many(result, controls)
    edges = drawn_edges(result)
    sentence = st.container(key=Key.SENTENCE).empty()
    sentence.caption("Patching the drawn paths together …")
    left, right = st.columns([7, 4], gap="large")
    with left:
        drawing = graph_view(result, edges)
        if result.proof is not None:
            st.caption(result.proof)
        known = known_of(result)
        if known is not None:
            roles_panel(known, edges)
        if st.session_state[Key.SELECTED]:
            detail_panel(result, drawing, st.session_state[Key.SELECTED])
    with right:
        scores = st.container()
        search_panel(result)
        my_circuit(result, drawing, edges)
    with left:
        paths_table(result, edges)
        leaving = st.container()
        load_panel(result.request.experiment.model)
    if not edges:
        sentence.caption("No path is drawn. Move a slider, or find a circuit.")
        return
    own = own_scores(result, edges)
    with sentence.container():
        finding_panel(result, own, len(edges))
    if result.n_done == result.n_total:
        keep(
            *(result.request, own.request),
            sentence=finding(result, own, len(edges)),
            values=result.share_of(edges),
        )
    with leaving:
        leave_panel(result, own, edges, drawing)
    with scores:
        scores_panel(result, own, edges)
    circuit_over_the_set(result, edges)


def paths_table(result: GraphResult, edges: EdgeLabels) -> None:
    """The drawn paths, strongest first."""
    if edges:
        st.header("Paths drawn")
        table = result.table(result.graph.index(edges)).sort_values("rank")
        st.dataframe(
            edges_as_written(table), hide_index=True, width="stretch", height=grid_height(len(table))
        )


def follow(job: jobs.Job[GraphResult], result: GraphResult) -> None:
    """The graph by its estimates, while it is measured."""
    show(result)


experiment = experiment_at_hand()
st.title("Circuit")
st.caption(
    "Which handful of paths is the mechanism, and does it hold? Every path in the model, from the embedding, "
    "a head or an MLP to each later reader; sets of them are patched together and measured, not summed."
)
identical = not overview_or_stop(experiment).result.differences
if identical:
    note("The two prompts are identical: no path carries any difference, so there is no circuit to find.")
    st.stop()
with st.container(key=Key.CONTROLS):
    first, *controls, last = st.columns([4, 5, 5, 4], gap="medium")
with first:
    request = GraphRequest(experiment, METRIC.draw())
with last:
    LAYOUT.draw()
found = stored(request) or result_or_progress(request, "Estimating every path at once", follow, stopped=show)
if found is not None:
    show(found.result)
    provenance_panel(found.result, found.from_store)
