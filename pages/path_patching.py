"""One source head to every later head: direct path patching."""

from __future__ import annotations

import streamlit as st

from analysis.answers import answer
from analysis.labels import head_label
from analysis.results import EffectScale, HeadPathsRequest, PathRequest, PathResult
from pages.shared.cards import answer_or_stop, identical_note, overview_or_stop, provenance_panel
from pages.shared.experiment import experiment_at_hand
from pages.shared.findings import strongest_path
from pages.shared.head_paths import head_paths_panel
from pages.shared.heights import draw_chart, grid_height, kept_place
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
)
from pages.shared.resolution import resolution_caption
from pages.shared.shown_paths import of_head_paths, of_path
from pages.shared.source import source_list, source_map, source_place
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme

#: Destinations that are listed beside the map, and pixels of what stands around the list.
_LISTED, _HEADING = 15, 100


def paths(result: PathResult, scale: EffectScale) -> None:
    """Draw every path from the source."""
    from analysis.charts import path_chart

    draw_chart("paths", path_chart(result, scale, current_theme()), key=Key.PATH_CHART)


def every_path(result: PathResult, choices: PatchingChoices) -> None:
    """All paths of the source on one scale, and one from near."""
    asked = result.request
    request = HeadPathsRequest(
        asked.experiment, asked.source_layer, asked.source_head, choices["layer_norm"], choices["metric"]
    )
    take_along(of_head_paths(head_paths_panel(request, scale), scale))


def chosen_paths(result: PathResult) -> None:
    """The paths into the chosen input alone, where each path takes forward passes of its own."""
    st.header(f"Whom {label} tells")
    paths(result, scale)
    st.caption("Grey cells have no causal path from the source: they are no measurement, not zero.")


experiment = experiment_at_hand()
st.title("Path patching")
st.caption(
    "What changes if one later head sees the source head's clean output in its query, key or value, while "
    "everything else still sees the corrupted run. Positive effects move the metric up."
)
overview = overview_or_stop(experiment).result
identical_note(overview)
said = st.container()
estimated = begin_with_the_strongest(experiment) is not None
left, right = st.columns([3, 2], gap="large")
with left:
    layer, head = source_list(overview)
    place = source_place(overview) if estimated else None
label = head_label(layer, head)
n_listed = min(_LISTED, (overview.n_layers - layer - 1) * overview.n_heads)
with right:
    beside = kept_place("destinations", _HEADING + grid_height(n_listed)) if n_listed else st.container()
if n_listed:
    beside.header(f"Strongest destinations of {label}")
choices = patching_controls()
scale = st.session_state[Key.SCALE]
if place is not None:
    with place:
        source_map(experiment, choices, scale, label)
found = answer_or_stop(lambda: answer(PathRequest(experiment, layer, head, **choices)), "Patching every path")
result = found.result
baselines(result)

table = result.table()
if table.empty:
    note(f"{label} is in the last layer, so there is no later head to tell anything.")
else:
    finding = strongest_path(result)
    said.text(finding)
    keep(overview.request, result.request, sentence=finding, values=result.effect)
    with beside:
        st.dataframe(
            edge_columns(table.head(_LISTED), "destination"),
            hide_index=True,
            width="stretch",
            height=grid_height(n_listed),
            column_config=edge_formats(choices["metric"]),
        )
        resolution_caption(result, table["below_resolution"], "paths")
        take_along(of_path(result, scale))
if scale == "recovery" and result.clean_metric == result.corrupted_metric:
    note("The metric is the same on both runs, so recovery is not defined; the effect is.")
# Where the engine replays, every path of the head is quick; else each takes forward passes of its own.
if result.provenance.engine == "replay":
    every_path(result, choices)
elif not table.empty:
    chosen_paths(result)
page_link(CIRCUIT, f"{label} in the circuit", selected=label)
provenance_panel(result, found.from_store)
