"""Every source head to every later head: which head told which."""

from __future__ import annotations

import streamlit as st

from analysis import jobs
from analysis.answers import stored
from analysis.results import AllSourcesRequest, AllSourcesResult, StrongestPathsRequest
from pages.shared.cards import identical_note, overview_or_stop, provenance_panel
from pages.shared.experiment import experiment_sidebar
from pages.shared.findings import strongest_path
from pages.shared.history import keep, strongest_of
from pages.shared.keys import Key
from pages.shared.lead import begin_with_the_strongest
from pages.shared.notes import note
from pages.shared.patching import baselines, patching_controls
from pages.shared.strongest import selected_from_near, strongest_list
from pages.shared.sweeps import is_small, seconds_between_drawings, strongest_paths, sweep_view
from pages.shared.work import result_or_progress


def show(result: AllSourcesResult, from_store: bool) -> None:
    """A finished sweep."""
    note(*result.provenance.notes)
    if strongest is None:
        st.text(strongest_path(result))
    every = result.table().assign(component=result.request.component)
    with near:
        selected_from_near(of_all, strongest, every)
    baselines(result)
    sweep_view(result, st.session_state[Key.SCALE])
    keep(result.request, sentence=strongest_path(result), values=strongest_of(result.effect))
    provenance_panel(result, from_store)


@st.fragment(run_every=1)
def follow_strongest(job: jobs.Job[AllSourcesResult]) -> None:
    """The strongest paths, by what is measured so far."""
    result = job.snapshot().result
    if result is not None:
        strongest_paths(result)


def follow_cells(job: jobs.Job[AllSourcesResult]) -> None:
    """The estimate, and measured cells as they arrive."""
    result = job.snapshot().result
    if result is not None:
        baselines(result)
        sweep_view(result, st.session_state[Key.SCALE], lambda _: follow_strongest(job))


def follow(job: jobs.Job[AllSourcesResult], result: AllSourcesResult) -> None:
    """What is measured of the sweep while it runs."""
    note(*result.provenance.notes)
    # Apart from bar and table: to draw a large map twice a second would take the cores from measuring.
    st.fragment(follow_cells, run_every=seconds_between_drawings(result))(job)


experiment = experiment_sidebar()
st.title("All sources")
st.caption(
    "Every direct path from an attention head to a later one, patched alone. A strong cell says: the source "
    "told the destination something that the metric depends on."
)
begin_with_the_strongest(experiment)
choices = patching_controls()
request = AllSourcesRequest(experiment, **choices)
of_all = StrongestPathsRequest(experiment, choices["layer_norm"], choices["metric"])
strongest = strongest_list(of_all)
near = st.container()
found = stored(request)
if found is not None:
    show(found.result, found.from_store)
    st.stop()

overview = overview_or_stop(experiment).result
identical_note(overview)
small = is_small(request, overview.n_layers, overview.n_heads)
if not small and jobs.find(request) is None:
    st.caption("This model has many paths; the sweep runs in the background and can be stopped and resumed.")
result = result_or_progress(
    request,
    "Estimating every path at once",
    follow,
    button=None if small else "Measure every path",
    stopped=lambda result: sweep_view(result, st.session_state[Key.SCALE]),
)
if result is not None:
    show(result.result, result.from_store)
else:
    with near:
        selected_from_near(of_all, strongest)
