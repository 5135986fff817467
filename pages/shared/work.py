"""Long work as a page shows it: started, followed, stopped, taken up again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import streamlit as st

from analysis import jobs
from analysis.answers import Answer
from analysis.errors import PathscopeError
from analysis.labels import counted
from analysis.results import GrowingResult, LongRequest
from pages.shared.cards import error_card
from pages.shared.keys import Key
from pages.shared.notes import note
from pages.shared.visitor import visitor

G = TypeVar("G", bound=GrowingResult)

#: Where the kind of work is kept that a person has asked for and that has not begun.
_ASKED_FOR = "asked_for"


def result_or_progress(
    request: LongRequest[G],
    at_first: str,
    follow: Callable[[jobs.Job[G], G], None],
    *,
    button: str | None = None,
    stopped: Callable[[G], None] | None = None,
) -> Answer[G] | None:
    """The result of work that is done; None where it is not, and then the page shows how far it is.

    Work begins by itself, or with the `button` of that label. `at_first` is said until there is a first
    result; `follow` draws what there is while the work goes on, `stopped` what there was when it ended early.
    """
    job = jobs.find(request)
    if _asked_for(request) or (job is None and button is None):
        job = _submitted(request)
    if job is None:
        _start_button(request, button or "")
        return None
    snapshot = job.snapshot()
    if not snapshot.finished:
        note(snapshot.note)
        st.fragment(_follow_progress, run_every=0.5)(job, at_first, snapshot.result is not None)
        if snapshot.result is not None:
            follow(job, snapshot.result)
    elif snapshot.state == "failed":
        error_card(snapshot.error or f"The {request.called} failed.", snapshot.remedies)
    elif snapshot.state == "cancelled":
        note(_how_it_stopped(request, snapshot), snapshot.note)
        _start_button(request, "Go on", icon=":material/play_arrow:")
        if snapshot.result is not None and stopped is not None:
            stopped(snapshot.result)
    elif snapshot.result is not None:
        note(snapshot.note)
        return Answer(snapshot.result, snapshot.from_store)
    return None


def _start_button(request: LongRequest[G], label: str, icon: str | None = None) -> None:
    """A button that asks for work of this kind.

    What it returns would be lost with a run of the page that is interrupted before it begins the work, by the
    estimate that comes in meanwhile, say; so the press is kept until then.
    """
    st.button(
        label,
        key=f"{Key.START}_{request.called}",
        icon=icon,
        on_click=partial(st.session_state.__setitem__, _ASKED_FOR, request.called),
    )


def _asked_for(request: LongRequest[G]) -> bool:
    return bool(st.session_state.get(_ASKED_FOR) == request.called)


def _submitted(request: LongRequest[G]) -> jobs.Job[G]:
    """The job for `request`, new or running; an error is drawn as a card and ends the page's run."""
    try:
        job = jobs.submit(request, visitor())
    except PathscopeError as error:
        st.session_state.pop(_ASKED_FOR, None)
        error_card(str(error), error.remedies)
        st.stop()
    st.session_state.pop(_ASKED_FOR, None)
    return job


def _follow_progress(job: jobs.Job[G], at_first: str, drawn: bool) -> None:
    """Bar, time left and cancel; the whole page anew when there is a first result, and at the end."""
    job.watch(visitor())
    snapshot = job.snapshot()
    if snapshot.finished or (snapshot.result is not None and not drawn):
        st.rerun()
    job_panel(job, snapshot, at_first)


def job_panel(job: jobs.Job[G], snapshot: jobs.JobSnapshot[G], at_first: str) -> None:
    """Bar, what is done, time left, place in the queue, and a button to cancel."""
    called = job.request.called
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if snapshot.state == "queued":
            before = snapshot.queue_position
            waiting = f"Waiting for {counted(before, 'earlier job')}" if before else "Starting"
            st.progress(0.0, text=waiting)
        elif snapshot.result is None:
            st.progress(0.0, text=at_first)
        else:
            left = "" if snapshot.seconds_left is None else f", about {_rough(snapshot.seconds_left)} left"
            share = snapshot.n_done / max(1, snapshot.n_total)
            st.progress(min(1.0, share), text=f"{snapshot.result.progress}{left}")
        if others := job.others(visitor()):
            st.text(f"Watched by {counted(others, 'other visitor')}, too: it goes on when you leave.")
        else:
            st.button(
                "Cancel",
                key=f"{Key.CANCEL}_{called}",
                icon=":material/stop_circle:",
                on_click=job.leave,
                args=(visitor(),),
            )


def _rough(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _how_it_stopped(request: LongRequest[G], snapshot: jobs.JobSnapshot[G]) -> str:
    """Why work has ended early, and what became of what it had measured."""
    stopped = snapshot.error or f"The {request.called} was stopped."
    kept = "is kept and is not measured again" if snapshot.stored else "could not be kept"
    return f"{stopped} What it had measured {kept}."
