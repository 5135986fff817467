"""Notes: each is told once, whatever comes together, and a store that cannot be used stops no page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from analysis import answers, jobs
from analysis.answers import Answer, answer
from analysis.demo_model.examples import EXAMPLES
from analysis.requests import Experiment
from analysis.results import AllSourcesRequest
from analysis.store import open_store
from pages.shared import attribution_map
from pages.shared.keys import Key
from tests.jobs.watching import ended, slowly, until
from tests.pages.looking import table

FIRST = EXAMPLES[0]
PAGES = ("result", "direct_logit_attribution", "path_patching", "all_sources", "sanity_checks")
#: What the page asks for by itself: into values, by which the strongest path of all is read.
REQUEST = AllSourcesRequest(Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, FIRST.foil), "v")
Visit = Callable[..., AppTest]

pytestmark = pytest.mark.usefixtures("own_workers")


def notes(app: AppTest) -> list[str]:
    """The sentences beside an information sign, from the top."""
    return list(_notes_in(app.main))


def _notes_in(block: Any) -> Iterator[str]:
    children = [child for _, child in sorted(block.children.items())]
    if any(child.type == "markdown" and child.value == ":material/info:" for child in children):
        yield from (child.value for child in children if child.type == "text")
    for child in children:
        if hasattr(child, "children"):
            yield from _notes_in(child)


@pytest.fixture(params=["below a file", "no bytes"])
def unusable(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that nothing can be put into."""
    (tmp_path / "file").touch()
    if request.param == "no bytes":
        monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path))
        monkeypatch.setenv("PATHSCOPE_STORE_BYTES", "0")
    else:
        monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "file" / "store"))


@pytest.mark.usefixtures("unusable")
@pytest.mark.parametrize("page", PAGES)
def test_what_cannot_be_stored_is_shown_all_the_same_and_said_once(visit: Visit, page: str):
    app = visit(page)
    if page == "all_sources":
        assert ended(jobs.submit(REQUEST)).state == "done"
        app.run()
    assert not app.exception
    told = notes(app)
    assert [note for note in told if note.startswith("Shown but not stored")]
    assert len(set(told)) == len(told)
    assert app.dataframe or app.table


@pytest.mark.usefixtures("unusable")
def test_a_sweep_on_an_unusable_store_can_be_stopped_and_run_again(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATHSCOPE_SWEEP_BYTES", "400000")
    computed = slowly(
        monkeypatch, lambda number: until(lambda: number < 3 or bool(release) or job.stopping())
    )
    release: list[bool] = []
    job = jobs.submit(REQUEST)
    until(lambda: len(computed) == 3)
    running = visit("all_sources")
    assert not running.exception
    [cancel] = [button for button in running.button if button.key == f"{Key.CANCEL}_sweep"]
    cancel.click()
    release.append(True)
    running.run()
    assert ended(job).state == "cancelled"
    app = visit("all_sources")
    assert not app.exception
    assert "The sweep was stopped. What it had measured could not be kept." in notes(app)
    [go_on] = [button for button in app.button if button.label == "Go on"]
    go_on.click().run()
    assert ended(jobs.submit(REQUEST)).state == "done"
    app.run()
    assert not app.exception
    assert set(table(app, "how")["how"]) == {"measured"}


@pytest.mark.usefixtures("own_store")
def test_a_sweep_that_was_stopped_says_why_and_what_it_kept(visit: Visit, monkeypatch: pytest.MonkeyPatch):
    jobs.submit(REQUEST).cancel()
    assert notes(visit("all_sources")) == [
        "The sweep was stopped. What it had measured is kept and is not measured again."
    ]
    monkeypatch.setenv("PATHSCOPE_GRACE", "0")
    assert ended(jobs.submit(REQUEST)).state == "cancelled"
    [told] = notes(visit("all_sources"))
    assert told.startswith("Nobody watched this sweep for 0 s")


def test_two_notes_that_come_together_are_both_drawn(visit: Visit):
    same = {"corrupted": FIRST.clean, "source_layer": "3", "source_head": "0"}
    app = visit("path_patching", **same)
    assert not app.exception
    assert [note.split(",")[0] for note in notes(app)] == [
        "The two prompts are identical",
        "L3H0 is in the last layer",
    ]
    app = visit("path_patching", corrupted=FIRST.clean, scale="recovery", source_layer="1")
    assert not app.exception
    assert [note.split(",")[0] for note in notes(app)] == [
        "The two prompts are identical",
        "The metric is the same on both runs",
    ]


def test_what_belongs_to_the_numbers_is_said_with_them_as_plain_text(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    def with_a_note(request):
        found = answer(request)
        provenance = replace(found.result.provenance, notes=("Mind the **scale**.",))
        return Answer(replace(found.result, provenance=provenance), found.from_store)

    monkeypatch.setattr(answers, "answer", with_a_note)
    monkeypatch.setattr(attribution_map, "answer", with_a_note)
    for page in ("direct_logit_attribution", "path_patching", "sanity_checks"):
        app = visit(page)
        assert not app.exception
        assert notes(app) == ["Mind the **scale**."], page


@pytest.mark.usefixtures("own_store")
def test_what_befell_the_store_is_told_while_it_is_news(visit: Visit, monkeypatch: pytest.MonkeyPatch):
    visit("result")
    store = open_store()
    store._refuse("its file is damaged")
    assert notes(visit("result")) == [store.notices()[-1]]
    assert "its file is damaged" in store.notices()[-1]
    monkeypatch.setattr("pages.shared.notes._RECENT", 0.0)
    assert notes(visit("result")) == []
