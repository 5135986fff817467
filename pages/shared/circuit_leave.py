"""A circuit that leaves the app, and one that comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import stored
from analysis.errors import PathscopeError
from analysis.exports import (
    Groups,
    SavedCircuit,
    circuit_csv,
    circuit_from_json,
    circuit_json,
    circuit_python,
)
from analysis.models import fingerprint
from analysis.policy import policy
from analysis.results import CircuitScoresRequest, EdgeLabels, EdgeSetsResult, GraphResult
from pages.shared import circuit_state
from pages.shared.circuit_words import finding
from pages.shared.downloads import download, picture_or_sentence, python_panel
from pages.shared.keys import PROMPT_KEYS, Key
from pages.shared.theme import current_theme
from pages.shared.uploads import expect_files

if TYPE_CHECKING:
    from analysis.charts import Drawing


def leave_panel(graph: GraphResult, own: EdgeSetsResult, edges: EdgeLabels, drawing: Drawing) -> None:
    """The picture, the paths and their scores, and a script that measures them anew."""
    from analysis.charts import chart_png, chart_svg, circuit_chart

    theme = current_theme()
    # Files are made outside of any run, where there is no state of a session.
    groups = tuple(circuit_state.known_groups(circuit_state.groups(), graph.graph).items())
    told = {"finding": finding(graph, own, len(edges)), **_saved(graph, edges, groups).provenance}
    with st.container(horizontal=True):
        download(
            "JSON", "circuit.json", "application/json", lambda: circuit_json(_saved(graph, edges, groups))
        )
        download("CSV", "circuit.csv", "text/csv", lambda: circuit_csv(graph, edges))
        download(
            "PNG",
            "circuit.png",
            "image/png",
            picture_or_sentence(lambda: chart_png(circuit_chart(drawing, theme), theme, told), "png", theme),
        )
        download(
            "SVG",
            "circuit.svg",
            "image/svg+xml",
            picture_or_sentence(lambda: chart_svg(circuit_chart(drawing, theme), theme, told), "svg", theme),
        )
    asked = graph.request
    python_panel("circuit", lambda: circuit_python(asked.experiment, edges, asked.metric, groups))


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
