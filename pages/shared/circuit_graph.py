"""The circuit as a graph: which paths are drawn, and what a click on them selects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.answers import answer
from analysis.labels import counted
from analysis.results import EdgeLabels, EdgePositionsRequest, EdgeSetsRequest, GraphResult
from pages.shared import circuit_state
from pages.shared.cards import answer_or_stop
from pages.shared.circuit_roles import known_of
from pages.shared.circuit_words import hidden
from pages.shared.heights import kept_place
from pages.shared.keys import KEPT, Key
from pages.shared.notes import note
from pages.shared.selection import selection_box
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamlit.delta_generator import DeltaGenerator

    from analysis.charts import Drawing, Line

LAYERS_EXPLAINED = "Upwards from the embedding to the logits; MLPs stand on the spine."
TOKENS_EXPLAINED = (
    "Each path starts over the token at which it brings back most; a line that crosses to another column is "
    "read there by a head's key or value, and written on at the other end."
)
LINES_EXPLAINED = (
    "Orange pushes towards the answer, blue away from it; the wider, the more. Into a head, dashed lines are "
    "read by its query, dash-dotted ones by its key, dotted ones by its value; pale lines are estimates."
)
#: Height of the small graph in pixels.
_SMALL = 460


def how_many(graph: GraphResult, row: Sequence[DeltaGenerator]) -> None:
    """In two places, how many of the strongest paths are drawn: by number or by the share they hold."""
    most = min(circuit_state.MOST_DRAWN, len(graph.graph))
    state = st.session_state
    state[Key.EDGES] = min(state[Key.EDGES], most)
    state[Key.ACCOUNTED] = round(100 * graph.accounted(state[Key.EDGES]))

    def smallest() -> None:
        state[Key.EDGES] = min(most, graph.smallest(state[Key.ACCOUNTED] / 100))

    row[0].slider(
        "Strongest paths drawn",
        0,
        most,
        key=Key.EDGES,
        persist_state=KEPT,
        help="Ranked by the larger of what a path brings back and what it breaks, one by one. Those of which "
        "rounding alone can explain it are left out.",
    )
    row[1].slider(
        "Share of all paths' worth",
        0,
        max(1, round(100 * graph.accounted(most))),
        key=Key.ACCOUNTED,
        format="%d %%",
        on_change=smallest,
        help="Draws the fewest paths that hold so much of what all paths are worth one by one. The scale "
        f"ends with what {most} paths hold, since no more are drawn.",
    )


def drawn_edges(graph: GraphResult) -> EdgeLabels:
    """My circuit, and as many of the strongest paths as are asked for."""
    kept, lost = circuit_state.known_edges(circuit_state.pins(), graph.graph)
    note(lost)
    return tuple(dict.fromkeys((*kept, *graph.strongest(st.session_state[Key.EDGES]))))


def graph_view(graph: GraphResult, edges: EdgeLabels) -> Drawing:
    """Draw `edges`; a click selects a node or a line."""
    from analysis.charts import circuit_graph, graph_height

    by_tokens = bool(edges) and st.session_state[Key.LAYOUT] == "tokens"
    drawing = _by_tokens(graph, edges) if by_tokens else _by_layers(graph, edges)
    st.session_state[Key.DRAWN] = {
        "node": [node.label for node in drawing.nodes],
        "edge": [line.label for line in drawing.edges],
    }
    height = graph_height(drawing)
    kept_place("graph", height).echarts_chart(
        circuit_graph(drawing, current_theme(), st.session_state[Key.SELECTED], _badges(graph, drawing)),
        height=height,
        key=Key.GRAPH,
        on_select=_take_selection,
        renderer="svg",
        alt=f"{counted(len(drawing.edges), 'path')} between {len(drawing.used)} nodes; the table below lists "
        "what they are worth.",
    )
    labels = [label for drawn in st.session_state[Key.DRAWN].values() for label in drawn]
    told = "Click a node or a path, or choose it here, to see it from near"
    selection_box(Key.DRAWN_LIST, told, labels, st.session_state[Key.SELECTED])
    worth = np.abs(graph.share)
    held = float(worth[tuple(graph.graph.index(edges).T)].sum() / np.nansum(worth))
    where = TOKENS_EXPLAINED if by_tokens else LAYERS_EXPLAINED
    st.caption(f"{where} {LINES_EXPLAINED} {hidden(graph, len(edges), held)}")
    return drawing


def small_graph(graph: GraphResult, edges: EdgeLabels) -> None:
    """Draw `edges` by layers, to be looked at."""
    from analysis.charts import circuit_graph, drawing_of, graph_height, lines_of

    lines = lines_of(edges, {})
    shares, measured = _worth(graph, lines)
    drawing = drawing_of(graph.graph, lines, shares, measured, {}, ())
    st.echarts_chart(
        circuit_graph(drawing, current_theme()),
        height=min(_SMALL, graph_height(drawing)),
        key=Key.SMALL_GRAPH,
        renderer="svg",
        alt=f"{counted(len(drawing.edges), 'path')} between {len(drawing.used)} nodes, up to the logits.",
    )
    st.caption(LINES_EXPLAINED)


def _badges(graph: GraphResult, drawing: Drawing) -> dict[str, str]:
    """What is known of the heads of this model."""
    known = known_of(graph)
    return {
        node.label: role
        for node in drawing.used
        for role in ([] if known is None else known.roles_of(node.label)[:1])
    }


def _by_layers(graph: GraphResult, edges: EdgeLabels) -> Drawing:
    from analysis.charts import drawing_of, lines_of

    groups = circuit_state.known_groups(circuit_state.groups(), graph.graph)
    lines = lines_of(edges, groups)
    shares, measured = _worth(graph, lines)
    return drawing_of(graph.graph, lines, shares, measured, groups, circuit_state.pins())


def _by_tokens(graph: GraphResult, edges: EdgeLabels) -> Drawing:
    from analysis.charts import positions_drawing

    request = EdgePositionsRequest(graph.request.experiment, edges, graph.request.metric)
    places = answer_or_stop(lambda: answer(request), "Patching each path at each token").result
    if circuit_state.groups():
        note("Groups are drawn in the layout by layers alone.")
    at = tuple(graph.graph.index(edges).T)
    return positions_drawing(
        places,
        graph.share[at].tolist(),
        (~np.isnan(graph.measured[:, *at])).all(axis=0).tolist(),
        circuit_state.pins(),
    )


def _worth(graph: GraphResult, lines: tuple[Line, ...]) -> tuple[list[float], list[bool]]:
    """What each line is worth, and whether that is measured: lines of several edges as one joint patch."""
    indices = [graph.graph.index(line.edges) for line in lines]
    shares = [float(graph.share[tuple(index[0])]) for index in indices]
    measured = [bool((~np.isnan(graph.measured[:, *index[0]])).all()) for index in indices]
    several = [row for row, line in enumerate(lines) if len(line.edges) > 1]
    if several:
        request = EdgeSetsRequest(
            graph.request.experiment, tuple(lines[row].edges for row in several), graph.request.metric
        )
        joint = answer_or_stop(lambda: answer(request), "Patching the paths between groups together").result
        for row, brings_back, breaks in zip(several, joint.brings_back, joint.breaks, strict=True):
            shares[row] = float(max(brings_back, breaks, key=abs))
            measured[row] = True
    return shares, measured


def _take_selection() -> None:
    """Select what was clicked; a click on it once more lets it go."""
    drawn = st.session_state[Key.DRAWN]
    for picked in st.session_state[Key.GRAPH].selection.selected:
        labels = drawn[picked["data_type"]]
        for index in picked["data_indices"]:
            if index < len(labels):
                circuit_state.select(labels[index])
                return
    circuit_state.select(None)
