"""One source head to every later head: direct path patching."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.answers import answer, stored
from analysis.labels import head_label
from analysis.results import AllSourcesRequest, OverviewResult, PathRequest, PathResult
from pages.shared.cards import (
    answer_or_stop,
    downloads,
    identical_note,
    note_card,
    overview_or_stop,
    provenance_panel,
)
from pages.shared.experiment import experiment_sidebar
from pages.shared.keys import URL, Key
from pages.shared.patching import baselines, edge_columns, edge_formats, patching_controls
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import altair as alt

    from analysis.charts import Scale

_SOURCE_KEYS = (Key.SOURCE_LAYER, Key.SOURCE_HEAD)


def source_controls(overview: OverviewResult) -> tuple[int, int]:
    """Layer and head of the source."""
    with st.container(horizontal=True, gap="medium"):
        layer = st.number_input(
            "Source layer", 0, overview.n_layers - 1, key=Key.SOURCE_LAYER, bind=URL, width=150
        )
        head = st.number_input(
            "Source head", 0, overview.n_heads - 1, key=Key.SOURCE_HEAD, bind=URL, width=150
        )
    return int(layer), int(head)


def begin_with_the_strongest_source(every: AllSourcesRequest) -> None:
    """Where nobody has chosen a source, take the strongest of a stored sweep: there is something to see."""
    if any(key in st.session_state or key in st.query_params for key in _SOURCE_KEYS):
        return
    found = stored(every)
    if found is not None:
        strongest = found.result.table(1)
        for key, column in zip(_SOURCE_KEYS, ("sl", "sh"), strict=True):
            value = int(strongest[column].iloc[0])
            st.session_state[key] = value
            # Streamlit 1.67 leaves out of the URL what is set before a widget's first run, and what is
            # the widget's own default.
            if value:
                st.query_params[key] = str(value)


def paths(result: PathResult, scale: Scale) -> alt.LayerChart:
    """Draw every path from the source."""
    from analysis.charts import path_chart

    chart = path_chart(result, scale, current_theme())
    st.altair_chart(chart, width="stretch", key=Key.PATH_CHART)
    return chart


experiment = experiment_sidebar()
st.title("Path patching")
st.caption(
    "What changes if one later head sees the source head's clean output in its query, key or value, while "
    "everything else still sees the corrupted run. Positive effects move the metric up."
)
overview = overview_or_stop(experiment).result
identical_note(overview)
sources = st.container()
choices = patching_controls()
begin_with_the_strongest_source(AllSourcesRequest(experiment, **choices))
with sources:
    layer, head = source_controls(overview)
found = answer_or_stop(lambda: answer(PathRequest(experiment, layer, head, **choices)), "Patching every path")
result = found.result
scale = st.session_state[Key.SCALE]
baselines(result)

table = result.table()
if table.empty:
    note_card(f"{head_label(layer, head)} is in the last layer, so there is no later head to tell anything.")
    st.stop()
if scale == "recovery" and np.isnan(table["recovery"]).all():
    note_card("The metric is the same on both runs, so recovery is not defined; the effect is.")
left, right = st.columns([3, 2], gap="large")
with left:
    chart = paths(result, scale)
    st.caption("Grey cells have no causal path from the source: they are no measurement, not zero.")
with right:
    st.subheader(f"Strongest destinations of {head_label(layer, head)}")
    st.dataframe(
        edge_columns(table, "destination").head(15),
        hide_index=True,
        width="stretch",
        column_config=edge_formats(choices["metric"]),
    )
downloads(f"paths_from_{head_label(layer, head)}_{choices['component']}", result, table, chart)
provenance_panel(result, found.from_store)
