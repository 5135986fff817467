"""Every source head to every later head: which head told which."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from analysis import jobs
from analysis.answers import stored
from analysis.requests import HEAD_INPUTS
from analysis.results import (
    AllSourcesRequest,
    AllSourcesResult,
    KnownPaths,
    StrongestPathsRequest,
)
from pages.shared.cards import identical_note, overview_or_stop, provenance_panel
from pages.shared.choices import INPUTS
from pages.shared.experiment import experiment_at_hand
from pages.shared.findings import strongest_path
from pages.shared.history import keep, strongest_of
from pages.shared.keys import Key
from pages.shared.lead import begin_with_the_strongest
from pages.shared.notes import note
from pages.shared.patching import baselines, patching_controls
from pages.shared.path_map import map_controls, path_map
from pages.shared.shown_paths import of_path_estimates
from pages.shared.source import known_paths
from pages.shared.strongest import selected_from_near, strongest_list
from pages.shared.sweeps import Map, is_small, seconds_between_drawings, strongest_paths, sweep_view
from pages.shared.take_along import take_along
from pages.shared.work import result_or_progress


def view_of(n_layers: int, n_heads: int) -> Map:
    """How the map is drawn; its controls."""
    shown = map_controls(n_layers, n_heads)
    others = known
    if known is not None and inputs == "together":
        requests = [replace(request, component=other) for other in HEAD_INPUTS if other != request.component]
        swept = [found.result for found in map(stored, requests) if found is not None]
        others = known.with_measured(*swept)
    return Map(shown, st.session_state[Key.SCALE], inputs, others)


def show(result: AllSourcesResult, from_store: bool) -> None:
    """A finished sweep."""
    note(*result.provenance.notes)
    if strongest is None:
        st.text(strongest_path(result))
    every = result.table().assign(component=result.request.component)
    with near:
        selected_from_near(of_all, strongest, every)
    baselines(result)
    sweep_view(result, view_of(*result.values.shape[:2]))
    keep(result.request, sentence=strongest_path(result), values=strongest_of(result.effect))
    provenance_panel(result, from_store)


@st.fragment(run_every=1)
def follow_strongest(job: jobs.Job[AllSourcesResult], view: Map) -> None:
    """The strongest paths, by what is measured so far."""
    result = job.snapshot().result
    if result is not None:
        strongest_paths(view.completed(result))


def follow_cells(job: jobs.Job[AllSourcesResult], view: Map) -> None:
    """The estimate, and measured cells as they arrive."""
    result = job.snapshot().result
    if result is not None:
        baselines(result)
        sweep_view(result, view, lambda _: follow_strongest(job, view))


def follow(job: jobs.Job[AllSourcesResult], result: AllSourcesResult) -> None:
    """What is measured of the sweep while it runs."""
    note(*result.provenance.notes)
    view, shape = view_of(*result.values.shape[:2]), result.values.shape[:2]
    # Apart from bar and table: to draw a large map twice a second would take the cores from measuring.
    seconds = seconds_between_drawings(view.shown.marks(*shape))
    st.fragment(follow_cells, run_every=seconds)(job, view)


def show_estimates(known: KnownPaths, from_store: bool) -> None:
    """The map before anybody has asked for the sweep: all that is estimated, and the strongest measured."""
    view = view_of(overview.n_layers, overview.n_heads)
    assert view.known is not None
    paths = view.known.together if inputs == "together" else view.known.into(choices["component"])
    path_map(paths, view.shown, view.scale, view.largest)
    take_along(of_path_estimates(known, paths, view.drawn(paths)))
    provenance_panel(known.estimates, from_store)


experiment = experiment_at_hand()
st.title("All sources")
st.caption(
    "Every direct path from an attention head to a later one, patched alone. A strong cell says: the source "
    "told the destination something that the metric depends on."
)
begin_with_the_strongest(experiment)
with st.container(key=Key.CONTROLS):
    choices = patching_controls()
    inputs = INPUTS.draw()
request = AllSourcesRequest(experiment, **choices)
of_all = StrongestPathsRequest(experiment, choices["layer_norm"], choices["metric"])
strongest = strongest_list(of_all)
known, from_store = (None, False) if strongest is None else known_paths(experiment, choices)
if known is None and inputs == "together":
    note("There is no estimate for this model: shown is the patched input that is chosen, alone.")
near = st.container()
found = stored(request)
if found is not None:
    show(found.result, found.from_store)
    st.stop()

overview = overview_or_stop(experiment).result
identical_note(overview)
small = is_small(request, overview.n_layers, overview.n_heads)
waiting = not small and jobs.find(request) is None
if waiting:
    st.caption(
        "This model has many paths: shown is the estimate, in which the strongest are measured. The sweep "
        "that measures all of them runs in the background, and can be stopped and resumed."
    )
result = result_or_progress(
    request,
    "Estimating every path at once",
    follow,
    button=None if small else "Measure every path",
    stopped=lambda result: sweep_view(result, view_of(*result.values.shape[:2])),
)
if result is not None:
    show(result.result, result.from_store)
else:
    with near:
        selected_from_near(of_all, strongest)
    job = jobs.find(request)
    if known is not None and (job is None or job.snapshot().result is None):
        show_estimates(known, from_store)
