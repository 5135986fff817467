"""A sweep over all sources as a map and a table; a click on either selects a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.labels import head_label
from analysis.requests import HeadInput, MetricName
from analysis.results import AllSourcesRequest, AllSourcesResult, EffectScale
from pages.shared.choices import COMPONENT
from pages.shared.keys import Key
from pages.shared.patching import edge_columns, edge_formats
from pages.shared.resolution import resolution_caption
from pages.shared.selection import path_label, take
from pages.shared.shown_results import of_all_sources
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import pandas as pd

#: Rows of the edge table; the download has all of them.
MOST_EDGES = 100
#: Of a running sweep. Server and browser need about a second for ten thousand paths, and two cores
#: that draw do not measure.
PATHS_DRAWN_PER_SECOND = 1_500


def sweep_view(
    result: AllSourcesResult,
    scale: EffectScale,
    strongest: Callable[[AllSourcesResult], None] | None = None,
) -> None:
    """Heat map and strongest edges; a click on either selects the path.

    `strongest` draws the latter, `strongest_paths` if None.
    """
    from analysis.charts import all_sources_chart

    left, right = st.columns([6, 5], gap="medium")
    # First the table: server and browser are busy with a large map for seconds.
    with right:
        (strongest or strongest_paths)(result)
    with left:
        chart = all_sources_chart(result, scale, current_theme())
        # Streamlit 1.67 forgets a zoom that it does not watch whenever new data come.
        event = st.altair_chart(
            chart, width="stretch", key=Key.EDGE_CHART, on_select="rerun", selection_mode=("edge", "zoom")
        )
        st.caption(
            "Rows are sources, columns destinations; grey has no causal path and is no measurement. "
            "Click a cell to see its path from near. Zoom with Ctrl and the wheel or a pinch, move with "
            "Shift and the pointer; a double click shows all again."
        )
    take_along(of_all_sources(result, scale))
    picked = event.selection.get("edge") or []
    take(Key.EDGE_CHART, picked, _label(picked[0], result.request.component) if picked else None)


def _label(edge: Mapping[str, int], component: HeadInput) -> str:
    source, destination = head_label(edge["sl"], edge["sh"]), head_label(edge["dl"], edge["dh"])
    return path_label({"source": source, "destination": destination, "component": component})


def strongest_paths(result: AllSourcesResult) -> None:
    """The strongest edges as a table; a click on a row selects the path."""
    st.subheader(f"Strongest into the {COMPONENT.options[result.request.component].lower()}")
    table = result.table(MOST_EDGES).assign(component=result.request.component)
    chosen = _edge_table(table, result.request.metric)
    effect = result.effect[~np.isnan(result.effect)]
    resolution_caption(result, result.below_resolution(effect), "paths")
    paths = [path_label(path) for path in table.to_dict("records")]
    # Of a running sweep the rows may have changed places since the table in which one was clicked.
    drawn = st.session_state.get(Key.EDGE_ROWS, paths)
    st.session_state[Key.EDGE_ROWS] = paths
    take(Key.EDGE_TABLE, chosen, None if chosen is None else drawn[chosen])


def _edge_table(table: pd.DataFrame, metric: MetricName) -> int | None:
    """Draw the strongest edges; the number of the row that was picked."""
    shown = table.assign(how=table["measured"].map({True: "measured", False: "estimate"}))
    event = st.dataframe(
        edge_columns(shown, "source", "destination", "how"),
        hide_index=True,
        width="stretch",
        key=Key.EDGE_TABLE,
        on_select="rerun",
        selection_mode="single-row",
        column_config=edge_formats(metric),
    )
    rows = event.selection.rows
    return int(rows[0]) if rows else None


def seconds_between_drawings(result: AllSourcesResult) -> float:
    """How often to draw a running sweep's map: half a second for the bundled model, longer for more paths."""
    return max(0.5, int(result.causal.sum()) / PATHS_DRAWN_PER_SECOND)


def is_small(request: AllSourcesRequest, n_layers: int, n_heads: int) -> bool:
    """Whether a sweep may start by itself: up to about GPT-2 small, seconds to a quarter minute."""
    return n_heads**2 * n_layers * (n_layers - 1) // 2 <= 10_000
