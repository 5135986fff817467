"""A sweep over all sources as a map and a table; a click on either selects a path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.requests import METRIC_UNITS, MetricName
from analysis.results import AllSourcesRequest, AllSourcesResult, EffectScale, KnownPaths, PathMap
from pages.shared.choices import COMPONENT, InputsShown
from pages.shared.findings import estimates_missed, scale_grown
from pages.shared.heights import grid_height
from pages.shared.keys import Key
from pages.shared.patching import edge_columns, edge_formats
from pages.shared.path_map import MapShown, map_chart, path_map
from pages.shared.resolution import resolution_caption
from pages.shared.selection import path_label, take
from pages.shared.shown import Draw
from pages.shared.shown_paths import of_all_sources
from pages.shared.take_along import take_along

if TYPE_CHECKING:
    import pandas as pd

#: Rows of the edge table; the download has all of them.
MOST_EDGES = 100
#: Of a running sweep. Server and browser need about a second for ten thousand paths, and two cores
#: that draw do not measure.
PATHS_DRAWN_PER_SECOND = 1_500


@dataclass(frozen=True)
class Map:
    """How a sweep's map is drawn: what of it, on which scale, and what is known beside the sweep itself."""

    shown: MapShown
    scale: EffectScale
    inputs: InputsShown
    known: KnownPaths | None

    def completed(self, result: AllSourcesResult) -> AllSourcesResult:
        """A sweep that runs, with what was measured before it."""
        return result if result.complete or self.known is None else self.known.completing(result)

    def paths(self, result: AllSourcesResult) -> AllSourcesResult | PathMap:
        """What is drawn: the sweep, or of the three paths between each pair of heads the strongest."""
        if self.known is None or self.inputs == "apart":
            return result
        return self.known.with_measured(result).together

    def drawn(self, paths: AllSourcesResult | PathMap) -> Draw:
        """What draws the map of `paths` for a file."""
        return lambda theme, _: map_chart(paths, self.shown, self.scale, self.largest, theme)

    @property
    def largest(self) -> float | None:
        """What the colours reach: it follows from the estimate and what was measured before the sweep."""
        return None if self.known is None else self.known.largest


def sweep_view(
    result: AllSourcesResult,
    view: Map,
    strongest: Callable[[AllSourcesResult], None] | None = None,
) -> None:
    """Heat map and strongest edges; a click on either selects the path.

    `strongest` draws the latter, `strongest_paths` if None.
    """
    result = view.completed(result)
    left, right = st.columns([6, 5], gap="medium")
    # First the table: server and browser are busy with a large map for seconds.
    with right:
        (strongest or strongest_paths)(result)
    paths = view.paths(result)
    with left:
        path_map(paths, view.shown, view.scale, view.largest)
        for said in (estimates_missed(result), _scale_grown(result, paths, view)):
            if said is not None:
                st.text(said)
    take_along(of_all_sources(result, view.scale, paths, view.drawn(paths)))


def _scale_grown(result: AllSourcesResult, paths: AllSourcesResult | PathMap, view: Map) -> str | None:
    from analysis.charts import stepped

    drawn = float(np.nanmax(np.abs(paths.effect), initial=0.0))
    end = stepped(view.largest or drawn, drawn)
    return scale_grown(view.largest, drawn, end, METRIC_UNITS[result.request.metric], not result.complete)


def strongest_paths(result: AllSourcesResult) -> None:
    """The strongest edges as a table; a click on a row selects the path."""
    st.header(f"Strongest into the {COMPONENT.options[result.request.component].lower()}")
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
        height=grid_height(len(shown)),
        key=Key.EDGE_TABLE,
        on_select="rerun",
        selection_mode="single-row",
        column_config=edge_formats(metric),
    )
    rows = event.selection.rows
    return int(rows[0]) if rows else None


def seconds_between_drawings(n_drawn: int) -> float:
    """How often to draw a running sweep's map: half a second for the bundled model, longer for more cells."""
    return max(0.5, n_drawn / PATHS_DRAWN_PER_SECOND)


def is_small(request: AllSourcesRequest, n_layers: int, n_heads: int) -> bool:
    """Whether a sweep may start by itself: up to about GPT-2 small, seconds to a quarter minute."""
    return n_heads**2 * n_layers * (n_layers - 1) // 2 <= 10_000
