"""What is known of the node or the path that is selected, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.labels import percent
from analysis.nodes import Graph
from analysis.requests import HEAD_INPUTS
from analysis.results import EdgeLabels, GraphResult
from pages.shared import circuit_state
from pages.shared.navigation import ATTRIBUTION, PATH_PATCHING, page_link
from pages.shared.near import near_panel

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

    from analysis.charts import Drawing

#: Paths of a node that its detail lists in each direction.
_MOST_LISTED = 8


def detail_panel(graph: GraphResult, drawing: Drawing, selected: str) -> None:
    """The selected path, node or group; a path or a node of the model also where it is not drawn."""
    line = next((edge.edges for edge in drawing.edges if edge.label == selected), None) or edge_of(
        selected, graph.graph
    )
    members = next((node.members for node in drawing.nodes if node.label == selected), ())
    with st.container(border=True, key="detail"):
        if line is not None:
            line_detail(graph, selected, line)
        elif selected in (*graph.graph.writers, "logits"):
            node_detail(graph, selected)
        elif members:
            group_detail(selected, members)
        else:
            st.caption("What was selected is not in this model, or not drawn. Click a node or a path.")


def edge_of(label: str, graph: Graph) -> EdgeLabels | None:
    """The edge that a label such as "L0H7 → L2H5.v" names; None if the model has none."""
    writer, _, reader = label.partition(" → ")
    known, _ = circuit_state.known_edges(((writer, reader),), graph)
    return known or None


def line_detail(graph: GraphResult, label: str, edges: EdgeLabels) -> None:
    """What a path, or several between groups, are worth, and the other ways into the same reader."""
    st.text(label)
    st.dataframe(edges_as_written(graph.table(graph.graph.index(edges))), hide_index=True, width="stretch")
    with st.container(horizontal=True):
        pin_buttons(edges)
        if len(edges) == 1:
            _to_path_patching(*edges[0])
    others = _other_components(graph, edges)
    if others is not None:
        st.caption("The same two nodes by the other components:")
        st.dataframe(edges_as_written(others), hide_index=True, width="stretch")
        (_, reader), *_ = edges
        near_panel(graph.request.experiment, graph.request.metric, reader.partition(".")[0], edges[0])


def _other_components(graph: GraphResult, edges: EdgeLabels) -> pd.DataFrame | None:
    (writer, reader), *more = edges
    node, _, reads = reader.partition(".")
    if more or not reads:
        return None
    others = [(writer, f"{node}.{other}") for other in HEAD_INPUTS if other != reads]
    return graph.table(graph.graph.index(others))


def node_detail(graph: GraphResult, node: str) -> None:
    """The strongest paths into and out of a node, among all of the model's."""
    st.text(node)
    into, out_of = _paths_of(graph, node)
    left, right = st.columns(2, gap="medium")
    for column, title, table, end in (
        (left, "Reads from", into, "writer"),
        (right, "Writes to", out_of, "reader"),
    ):
        with column:
            st.caption(title if len(table) else f"{title} nothing.")
            if len(table):
                by = table["reader"].str.partition(".")[2] if end == "writer" and "L" in node else None
                st.dataframe(_ends_as_written(table, end, by), hide_index=True, width="stretch")
    edges = tuple(zip(into["writer"], into["reader"], strict=True)) + tuple(
        zip(out_of["writer"], out_of["reader"], strict=True)
    )
    drawn = tuple(edge for edge in edges if edge in circuit_state.pins())
    with st.container(horizontal=True):
        if drawn:
            pin_buttons(drawn)
        if _head(node) is not None:
            page_link(ATTRIBUTION, f"{node} beside all other heads", unit="head")
    if node in graph.graph.writers:
        near_panel(graph.request.experiment, graph.request.metric, node)


def _paths_of(graph: GraphResult, node: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The strongest paths into `node`, by any reader of it, and out of it."""
    residual = graph.graph
    readers = np.array([reader.partition(".")[0] == node for reader in residual.readers])
    writers = np.array([writer == node for writer in residual.writers])
    into, out_of = (
        graph.ranking[kept[graph.ranking[:, side]]][:_MOST_LISTED]
        for kept, side in ((readers, 1), (writers, 0))
    )
    return graph.table(into), graph.table(out_of)


def group_detail(name: str, members: tuple[str, ...]) -> None:
    """The members of a group, and its end."""
    st.text(f"{name}: {', '.join(members)}")
    st.button("Take the group apart", on_click=circuit_state.set_group, args=(name, ()), key="ungroup")


def pin_buttons(edges: EdgeLabels) -> None:
    """Into "my circuit", or out of it."""
    kept = circuit_state.pins()
    if all(edge in kept for edge in edges):
        st.button(
            "Take out of my circuit",
            icon=":material/keep_off:",
            on_click=circuit_state.unpin,
            args=edges,
            key="unpin",
        )
    else:
        st.button(
            "Keep in my circuit", icon=":material/keep:", on_click=circuit_state.pin, args=edges, key="pin"
        )


def _to_path_patching(writer: str, reader: str) -> None:
    """The way to the page that measures this head's other paths."""
    reads = reader.partition(".")[2]
    place = _head(writer)
    if place is not None and reads:
        layer, head = place
        page_link(
            PATH_PATCHING,
            f"All paths from {writer}",
            source_layer=layer,
            source_head=head,
            component=reads,
            layer_norm="exact",
        )


def _head(label: str) -> tuple[str, str] | None:
    layer, _, head = label.removeprefix("L").partition("H")
    return (layer, head) if layer.isdigit() and head.isdigit() else None


def edges_as_written(table: pd.DataFrame) -> Styler:
    """A table of edges as people read it."""
    shown = table.assign(how=table["measured"].map({True: "measured", False: "estimate"}))
    return _written(shown[["writer", "reader", "brings_back", "breaks", "how", "rank"]])


def _ends_as_written(table: pd.DataFrame, end: str, by: pd.Series | None) -> Styler:
    """The other ends of a node's edges, and by which input it reads them where there are several."""
    shown = table[[end, "brings_back", "breaks"]]
    if by is not None:
        shown.insert(1, "by", by)
    return _written(shown)


def _written(table: pd.DataFrame) -> Styler:
    shares = {"brings_back": "brings back", "breaks": "breaks"}
    style = table.rename(columns=shares).style.format(_share, subset=list(shares.values()))
    return style.format("{:,}", subset=["rank"]) if "rank" in table else style


def _share(share: float) -> str:
    """In percent, with as many decimals as tell small paths apart."""
    return percent(share, 1 if abs(share) >= 0.001 else 3)


def known_nodes(graph: Graph, drawing: Drawing) -> list[str]:
    """The nodes that can be put in a group: those with a path, from the embedding upwards."""
    used = {node.label for node in drawing.used} | {m for node in drawing.nodes for m in node.members}
    return [label for label in (*graph.writers, "logits") if label in used]
