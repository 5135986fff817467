"""One source head to every later head: direct path patching."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.answers import answer, stored
from analysis.labels import head_label
from analysis.results import AllSourcesRequest, EffectScale, OverviewResult, PathRequest, PathResult
from pages.shared import address
from pages.shared.cards import answer_or_stop, identical_note, overview_or_stop, provenance_panel
from pages.shared.downloads import downloads
from pages.shared.experiment import experiment_sidebar
from pages.shared.findings import strongest_path
from pages.shared.keys import KEPT, SOURCE_KEYS, Key
from pages.shared.navigation import CIRCUIT, page_link
from pages.shared.notes import note
from pages.shared.patching import baselines, edge_columns, edge_formats, patching_controls
from pages.shared.resolution import resolution_caption
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import altair as alt


def begin_with_the_strongest_source(every: AllSourcesRequest) -> None:
    """Where nobody has chosen a source, take the strongest of a stored sweep: there is something to see."""
    if all(st.session_state[key] is None for key in SOURCE_KEYS):
        found = stored(every)
        if found is not None:
            strongest = found.result.table(1).iloc[0]
            address.correct({Key.SOURCE_LAYER: int(strongest["sl"]), Key.SOURCE_HEAD: int(strongest["sh"])})


def source_controls(overview: OverviewResult) -> tuple[int, int]:
    """Layer and head of the source, within what the model has; the first where nobody has chosen."""
    sizes = dict(zip(SOURCE_KEYS, (overview.n_layers, overview.n_heads), strict=True))
    for key, size in sizes.items():
        asked = st.session_state[key] or 0
        if asked >= size:
            note(f"The model has no {key.replace('_', ' ')} {asked}; the last one, {size - 1}, is shown.")
    address.correct({key: min(st.session_state[key] or 0, size - 1) for key, size in sizes.items()})
    labels = dict(zip(SOURCE_KEYS, ("Source layer", "Source head"), strict=True))
    with st.container(horizontal=True, gap="medium"):
        layer, head = (
            st.number_input(labels[key], 0, size - 1, key=key, persist_state=KEPT, width=150)
            for key, size in sizes.items()
        )
    return int(layer), int(head)


def paths(result: PathResult, scale: EffectScale) -> alt.LayerChart:
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
    note(f"{head_label(layer, head)} is in the last layer, so there is no later head to tell anything.")
    st.stop()
st.text(strongest_path(result))
if scale == "recovery" and np.isnan(table["recovery"]).all():
    note("The metric is the same on both runs, so recovery is not defined; the effect is.")
left, right = st.columns([3, 2], gap="large")
with left:
    chart = paths(result, scale)
    st.caption("Grey cells have no causal path from the source: they are no measurement, not zero.")
with right:
    st.subheader(f"Strongest destinations of {head_label(layer, head)}")
    st.dataframe(
        edge_columns(table.head(15), "destination"),
        hide_index=True,
        width="stretch",
        column_config=edge_formats(choices["metric"]),
    )
resolution_caption(result, table["below_resolution"], "paths")
page_link(CIRCUIT, f"{head_label(layer, head)} in the circuit", selected=head_label(layer, head))
downloads(f"paths_from_{head_label(layer, head)}_{choices['component']}", result, table, chart)
provenance_panel(result, found.from_store)
