"""What is told of a running sweep: how far it is, how long it takes, and the button that ends it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.keys import Key


def script(**snapshot: object) -> None:
    from types import SimpleNamespace
    from typing import Any

    import streamlit as st

    from analysis.results import GrowingResult
    from pages.shared.work import job_panel

    def leave(_visitor: None) -> None:
        st.session_state["cancelled"] = True

    others = snapshot.pop("others")
    job: Any = SimpleNamespace(leave=leave, others=lambda _: others, request=SimpleNamespace(called="sweep"))
    of_job: Any = SimpleNamespace(**snapshot)
    counts: Any = SimpleNamespace(n_done=of_job.n_done, n_total=of_job.n_total, counted="paths")
    progress = GrowingResult.progress.fget(counts)  # type: ignore[attr-defined]
    of_job.result = None if of_job.state in ("queued", "starting") else SimpleNamespace(progress=progress)
    job_panel(job, of_job, "Estimating every path at once")


def panel(state: str = "running", **told: object) -> AppTest:
    snapshot = {"state": state, "queue_position": 0, "n_done": 0, "n_total": 4000, "seconds_left": None}
    snapshot["others"] = 0
    app = AppTest.from_function(script, kwargs=snapshot | told).run(timeout=60)
    assert not app.exception
    return app


def bar(app: AppTest) -> tuple[int, str]:
    """How many percent of the bar are filled, and what stands above it."""
    (found,) = (element.proto for element in app.get("progress"))
    return found.value, found.text


@pytest.mark.parametrize(
    ("n_done", "n_total", "percent", "said"),
    [
        (0, 4000, 0, "0 of 4,000 paths measured"),
        (1000, 4000, 25, "1,000 of 4,000 paths measured"),
        (4000, 4000, 100, "4,000 of 4,000 paths measured"),
        (0, 0, 0, "0 of 0 paths measured"),
    ],
)
def test_the_bar_is_as_full_as_paths_are_measured(n_done, n_total, percent, said):
    assert bar(panel(n_done=n_done, n_total=n_total)) == (percent, said)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "0 s"), (41.6, "42 s"), (99.0, "99 s"), (100.0, "2 min"), (610.0, "10 min")]
)
def test_the_time_left_is_told_in_seconds_and_from_a_hundred_on_in_minutes(seconds, said):
    _, text = bar(panel(n_done=10, seconds_left=seconds))
    assert text == f"10 of 4,000 paths measured, about {said} left"


@pytest.mark.parametrize(
    ("state", "position", "said"),
    [
        ("queued", 3, "Waiting for 3 earlier jobs"),
        ("queued", 1, "Waiting for 1 earlier job"),
        ("queued", 0, "Starting"),
        ("starting", 0, "Estimating every path at once"),
    ],
)
def test_before_a_path_is_measured_the_bar_says_what_it_waits_for(state, position, said):
    assert bar(panel(state, queue_position=position)) == (0, said)


def test_the_button_cancels_the_very_sweep():
    app = panel()
    assert "cancelled" not in app.session_state
    button = app.button(key=f"{Key.CANCEL}_sweep")
    assert button.label == "Cancel"
    button.click().run(timeout=60)
    assert app.session_state["cancelled"] is True


def test_what_others_watch_cannot_be_cancelled():
    app = panel(others=2)
    assert not app.button
    assert [text.value for text in app.text] == [
        "Watched by 2 other visitors, too: it goes on when you leave."
    ]
