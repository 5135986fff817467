"""One source head to every later head: direct path patching."""

from __future__ import annotations

import numpy as np
import streamlit as st

from analysis.answers import answer
from analysis.labels import head_label
from analysis.results import EffectScale, HeadPathsRequest, PathRequest, PathResult
from pages.shared.cards import answer_or_stop, identical_note, overview_or_stop, provenance_panel
from pages.shared.experiment import experiment_sidebar
from pages.shared.findings import strongest_path
from pages.shared.head_paths import head_paths_panel
from pages.shared.history import keep
from pages.shared.keys import Key
from pages.shared.lead import begin_with_the_strongest
from pages.shared.navigation import CIRCUIT, page_link
from pages.shared.notes import note
from pages.shared.patching import (
    PatchingChoices,
    baselines,
    edge_columns,
    edge_formats,
    patching_controls,
    source_controls,
)
from pages.shared.resolution import resolution_caption
from pages.shared.shown_results import of_path
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme


def paths(result: PathResult, scale: EffectScale) -> None:
    """Draw every path from the source."""
    from analysis.charts import path_chart

    st.altair_chart(path_chart(result, scale, current_theme()), width="stretch", key=Key.PATH_CHART)


def every_path(result: PathResult, choices: PatchingChoices, scale: EffectScale) -> None:
    """The head's other paths, too, where they are quick: else each takes forward passes of its own."""
    asked = result.request
    if result.provenance.engine == "replay":
        place = asked.source_layer, asked.source_head
        head_paths_panel(
            HeadPathsRequest(asked.experiment, *place, choices["layer_norm"], choices["metric"]), scale
        )


experiment = experiment_sidebar()
st.title("Path patching")
st.caption(
    "What changes if one later head sees the source head's clean output in its query, key or value, while "
    "everything else still sees the corrupted run. Positive effects move the metric up."
)
overview = overview_or_stop(experiment).result
identical_note(overview)
begin_with_the_strongest(experiment)
sources = st.container()
choices = patching_controls()
with sources:
    layer, head = source_controls(overview)
found = answer_or_stop(lambda: answer(PathRequest(experiment, layer, head, **choices)), "Patching every path")
result = found.result
scale = st.session_state[Key.SCALE]
baselines(result)

table = result.table()
if table.empty:
    note(f"{head_label(layer, head)} is in the last layer, so there is no later head to tell anything.")
    every_path(result, choices, scale)
    provenance_panel(result, found.from_store)
    st.stop()
finding = strongest_path(result)
st.text(finding)
keep(overview.request, result.request, sentence=finding, values=result.effect)
if scale == "recovery" and np.isnan(table["recovery"]).all():
    note("The metric is the same on both runs, so recovery is not defined; the effect is.")
left, right = st.columns([3, 2], gap="large")
with left:
    paths(result, scale)
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
every_path(result, choices, scale)
page_link(CIRCUIT, f"{head_label(layer, head)} in the circuit", selected=head_label(layer, head))
take_along(of_path(result, scale))
provenance_panel(result, found.from_store)
