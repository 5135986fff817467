"""A circuit that leaves the app, and one that comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import stored
from analysis.errors import PathscopeError
from analysis.exports import (
    Groups,
    SavedCircuit,
    circuit_code,
    circuit_from_json,
    circuit_json,
    tensors_of,
)
from analysis.models import fingerprint
from analysis.policy import policy
from analysis.results import CircuitScoresRequest, EdgeLabels, EdgeSetsResult, GraphResult
from pages.shared import circuit_state
from pages.shared.circuit_words import finding
from pages.shared.keys import PROMPT_KEYS, Key
from pages.shared.shown import File, Shown
from pages.shared.take_along import take_along
from pages.shared.uploads import expect_files

if TYPE_CHECKING:
    from analysis.charts import Drawing

_MEASURED = (
    "All paths are patched together, and what they bring back is measured, no sum. Of single paths those "
    "marked as measured are, with the norm recomputed; the others are estimates, exact at the reader and "
    "linear after it."
)


def leave_panel(graph: GraphResult, own: EdgeSetsResult, edges: EdgeLabels, drawing: Drawing) -> None:
    """The menu by which the picture, the paths, their scores and code that measures them anew leave."""
    # Files are made outside of any run, where there is no state of a session.
    groups = tuple(circuit_state.known_groups(circuit_state.groups(), graph.graph).items())
    take_along(of_circuit(graph, own, edges, drawing, groups))


def of_circuit(
    graph: GraphResult, own: EdgeSetsResult, edges: EdgeLabels, drawing: Drawing, groups: Groups = ()
) -> Shown:
    """The paths that are drawn, as they leave; the circuit as a file that loads again is one of theirs."""
    from analysis.charts import circuit_chart

    metric = graph.request.metric
    return Shown(
        name="circuit_paths",
        title=f"The {len(edges):,} paths drawn of {len(graph.graph):,}",
        told=graph,
        experiment=graph.request.experiment,
        sentence=finding(graph, own, len(edges)),
        measured=_MEASURED,
        table=graph.table(graph.graph.index(edges)),
        draw=lambda theme, width: circuit_chart(drawing, theme, width),
        codes=lambda named: (circuit_code(named(graph.request.experiment), edges, metric, groups),),
        tensors=lambda: tensors_of(graph),
        files=(
            File(
                "Circuit, loads again",
                "circuit.json",
                "application/json",
                lambda: circuit_json(_saved(graph, edges, groups)),
            ),
        ),
    )


def _saved(graph: GraphResult, edges: EdgeLabels, groups: Groups) -> SavedCircuit:
    """The circuit with its scores, where they have been measured."""
    request = CircuitScoresRequest(graph.request.experiment, edges, metric=graph.request.metric)
    scores = stored(request)
    return SavedCircuit.of(graph, edges, groups, None if scores is None else scores.result)


def load_panel(model: str) -> None:
    """A file that was saved here, to be drawn again; none is taken from strangers."""
    if policy().hosted:
        return
    with st.expander("Load a circuit", icon=":material/upload_file:"):
        expect_files(True)
        file = st.file_uploader("A circuit saved as JSON", type="json", key="circuit_file")
        if file is None:
            return
        try:
            saved = circuit_from_json(file.getvalue())
        except PathscopeError as error:
            st.text(str(error))
            return
        st.text(
            f"{len(saved.edges):,} paths of {saved.experiment.model}: {saved.experiment.clean!r} and "
            f"{saved.experiment.corrupted!r}."
        )
        st.button("Draw it", key="load_circuit", on_click=_take, args=(saved, model))


def _take(saved: SavedCircuit, model: str) -> None:
    state = st.session_state
    try:
        experiment = saved.experiment_on(model, fingerprint(model))
    except PathscopeError:
        experiment = saved.experiment
    state[Key.MODEL], state[Key.METRIC] = experiment.model, saved.metric
    for key in PROMPT_KEYS:
        state[key] = getattr(experiment, key)
    state[Key.GROUPS] = saved.groups
    circuit_state.only_pins(saved.edges)
