"""Every source head to every later head: which head told which."""

from __future__ import annotations

import streamlit as st

from analysis import jobs
from analysis.answers import stored
from analysis.errors import PathscopeError
from analysis.results import AllSourcesRequest, AllSourcesResult
from pages.shared.cards import error_card, identical_note, overview_or_stop, provenance_panel
from pages.shared.experiment import experiment_sidebar
from pages.shared.keys import Key
from pages.shared.notes import note
from pages.shared.patching import baselines, patching_controls
from pages.shared.sweeps import is_small, job_panel, seconds_between_drawings, strongest_paths, sweep_view


def show(result: AllSourcesResult, from_store: bool) -> None:
    """A finished sweep."""
    note(*result.provenance.notes)
    baselines(result)
    sweep_view(result, st.session_state[Key.SCALE])
    provenance_panel(result, from_store)


def start(request: AllSourcesRequest) -> jobs.Job[AllSourcesResult]:
    """The job for `request`, new or running; an error is drawn as a card and ends the page's run."""
    try:
        return jobs.submit(request)
    except PathscopeError as error:
        error_card(str(error), error.remedies)
        st.stop()


@st.fragment(run_every=0.5)
def follow_progress(job: jobs.Job[AllSourcesResult], drawn: bool) -> None:
    """Bar, time left and cancel; the whole page anew when there is a first estimate, and at the end."""
    job.watch()
    snapshot = job.snapshot()
    if snapshot.finished or (snapshot.result is not None and not drawn):
        st.rerun()
    job_panel(job, snapshot)


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


def follow(job: jobs.Job[AllSourcesResult], result: AllSourcesResult | None) -> None:
    """The sweep while it runs."""
    note(job.snapshot().note)
    follow_progress(job, drawn=result is not None)
    if result is not None:
        note(*result.provenance.notes)
        # Apart from bar and table: to draw a large map twice a second would take the cores from measuring.
        st.fragment(follow_cells, run_every=seconds_between_drawings(result))(job)


def how_it_stopped(snapshot: jobs.JobSnapshot) -> str:
    """Why a sweep has ended early, and what became of what it had measured."""
    stopped = snapshot.error or "The sweep was stopped."
    kept = "is kept and is not measured again" if snapshot.stored else "could not be kept"
    return f"{stopped} What it had measured {kept}."


experiment = experiment_sidebar()
st.title("All sources")
st.caption(
    "Every direct path from an attention head to a later one, patched alone. A strong cell says: the source "
    "told the destination something that the metric depends on."
)
choices = patching_controls()
request = AllSourcesRequest(experiment, **choices)
found = stored(request)
if found is not None:
    show(found.result, found.from_store)
    st.stop()

overview = overview_or_stop(experiment).result
identical_note(overview)
job = jobs.find(request)
if job is None:
    small = is_small(request, overview.n_layers, overview.n_heads)
    if not small:
        st.caption(
            "This model has many paths; the sweep runs in the background and can be stopped and resumed."
        )
    if not (small or st.button("Measure every path", key=Key.START_SWEEP, type="primary")):
        st.stop()
    job = start(request)
snapshot = job.snapshot()
if not snapshot.finished:
    follow(job, snapshot.result)
elif snapshot.state == "failed":
    error_card(snapshot.error or "The sweep failed.", snapshot.remedies)
elif snapshot.state == "cancelled":
    note(how_it_stopped(snapshot), snapshot.note)
    if st.button("Go on", key=Key.START_SWEEP, type="primary", icon=":material/play_arrow:"):
        jobs.submit(request)
        st.rerun()
    if snapshot.result is not None:
        sweep_view(snapshot.result, st.session_state[Key.SCALE])
elif snapshot.result is not None:
    note(snapshot.note)
    show(snapshot.result, snapshot.from_store)
