"""Every page: it loads, it shows what it is for, and bad input becomes a sentence with a way out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from io import StringIO

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from analysis import answers, jobs
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import PathscopeError
from analysis.exports import inert_csv
from analysis.models.catalogue import fingerprint
from analysis.requests import Experiment
from analysis.results import (
    AllSourcesRequest,
    AllSourcesResult,
    AttributionRequest,
    StrongestPathsRequest,
    request_from_json,
)
from pages.shared.keys import Key
from pages.shared.take_along import provenance_json
from tests.charts.drawn import as_number
from tests.pages.looking import table

PAGES = {
    "result": "Result",
    "direct_logit_attribution": "Direct logit attribution",
    "path_patching": "Path patching",
    "all_sources": "All sources",
    "prompt_set": "Prompt set",
    "sanity_checks": "Sanity checks",
}
FIRST = EXAMPLES[0]
EXPERIMENT = Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, FIRST.foil)
Visit = Callable[..., AppTest]


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in app.text)


def sweep_finished(request: AllSourcesRequest) -> jobs.JobSnapshot[AllSourcesResult]:
    """The end of the sweep that a page started."""
    job = jobs.submit(request)
    while not job.finished:
        time.sleep(0.05)
    return job.snapshot()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_without_a_traceback(visit: Visit, page: str):
    app = visit(page)
    assert not app.exception
    assert app.title[0].value == PAGES[page]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_tells_where_its_numbers_come_from_when_it_is_asked(visit: Visit, page: str):
    sweep_finished(AllSourcesRequest(EXPERIMENT, "v"))
    app = visit(page)
    before = len(app.dataframe)
    assert app.main.caption[-1].value in ("Read from the store.", "Computed just now.")
    app.session_state[Key.PROVENANCE] = True
    app.run()
    assert not app.exception and len(app.dataframe) == before + 1
    assert app.main.caption[-1].value == "Read from the store."
    told = app.dataframe[-1].value.set_index("what")["value"]
    assert told["weights fingerprint"] == fingerprint("demo")
    assert "torch" in told["versions"] and told["computed"].endswith(" s")
    assert told["engine"] == ("replay" if page in ("path_patching", "all_sources") else "forward")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"clean": ""}, "empty"),
        ({"answer": " unbelievably"}, "unbelievably"),
        ({"corrupted": "When Mary went to the store, Mary gave a drink to"}, "token"),
    ],
)
def test_bad_input_is_a_sentence_that_names_it(visit: Visit, page: str, wrong: dict[str, str], named: str):
    app = visit(page)
    for field, value in wrong.items():
        app.session_state[field] = value
    app.run()
    assert not app.exception
    assert named in texts(app)
    assert not app.get("vega_lite_chart")


@pytest.mark.parametrize("page", PAGES)
def test_an_unknown_model_is_a_sentence_that_names_it(visit: Visit, page: str):
    app = visit(page, model="no/such-model")
    assert not app.exception
    assert "no/such-model" in texts(app)


def test_a_remedy_puts_its_value_into_its_field(visit: Visit):
    app = visit("result", answer=" MARY")
    [remedy] = [button for button in app.button if "' Mary'" in button.label]
    remedy.click().run()
    assert app.text_input(key=Key.ANSWER).value == " Mary"
    assert app.get("vega_lite_chart")


def test_identical_prompts_are_said_to_have_no_effects(visit: Visit):
    app = visit("result")
    app.text_area(key=Key.CORRUPTED).set_value(FIRST.clean)
    app.button(key=Key.ASK).click().run()
    assert not app.exception
    assert "every path effect is zero" in texts(app)


def test_user_text_is_never_markdown(visit: Visit):
    app = visit("result", model="![x](https://example.org/x.png)")
    assert "example.org" in texts(app)
    assert not any("example.org" in element.value for element in (*app.markdown, *app.caption))


def test_a_ready_example_fills_in_the_fields_and_is_recognised_in_them(visit: Visit):
    app = visit("result")
    assert app.selectbox(key=Key.EXAMPLE).value == 0
    app.selectbox(key=Key.EXAMPLE).set_value(2).run()
    assert app.text_area(key=Key.CLEAN).value == EXAMPLES[2].clean
    assert app.text_input(key=Key.FOIL).value == EXAMPLES[2].foil
    app.text_area(key=Key.CLEAN).set_value(EXAMPLES[2].clean + ".")
    app.button(key=Key.ASK).click().run()
    assert app.selectbox(key=Key.EXAMPLE).value is None


def test_swap_exchanges_prompts_and_answers_and_undoes_itself(visit: Visit):
    app = visit("result")
    app.button(key=Key.SWAP).click().run()
    swapped = [app.session_state[key] for key in (Key.CLEAN, Key.CORRUPTED, Key.ANSWER, Key.FOIL)]
    assert swapped == [FIRST.corrupted, FIRST.clean, FIRST.foil, FIRST.answer]
    app.button(key=Key.SWAP).click().run()
    assert app.session_state[Key.CLEAN] == FIRST.clean


@pytest.mark.parametrize("unit", ["component", "layer", "head"])
@pytest.mark.parametrize("position", ["last", "3", "all"])
def test_attribution_shows_every_unit_at_every_kind_of_position(visit: Visit, unit: str, position: str):
    app = visit("direct_logit_attribution", unit=unit, position=position)
    assert not app.exception
    assert (app.session_state[Key.UNIT], app.session_state[Key.POSITION]) == (unit, position)
    figures = {metric.label: as_number(metric.value) for metric in app.metric}
    assert figures["Sum of the parts"] + figures["Unembedding bias"] == pytest.approx(
        figures["Model's logit difference"], abs=2e-4
    )
    assert app.get("vega_lite_chart")


def test_a_downloaded_table_tells_where_its_numbers_come_from():
    result = answers.answer(AttributionRequest(EXPERIMENT)).result
    table = result.table(-1)
    told = json.loads(provenance_json(result))
    assert told["weights fingerprint"] == fingerprint("demo")
    assert request_from_json(json.loads(told["request"])) == result.request
    pd.testing.assert_frame_equal(pd.read_csv(StringIO(inert_csv(table))), table)


def test_path_patching_lists_every_destination_of_the_chosen_source(visit: Visit):
    app = visit("path_patching", source_layer="2", source_head="5")
    assert not app.exception
    assert "Strongest destinations of L2H5" in [heading.value for heading in app.subheader]
    destinations = set(app.dataframe[0].value["destination"])
    assert destinations == {f"L3H{head}" for head in range(8)}


def test_a_source_in_the_last_layer_has_nobody_to_tell(visit: Visit):
    app = visit("path_patching", source_layer="3", source_head="0")
    assert not app.exception
    assert "no later head" in texts(app)


def test_all_sources_starts_by_itself_and_ends_with_measured_edges(visit: Visit):
    app = visit("all_sources")
    snapshot = sweep_finished(AllSourcesRequest(EXPERIMENT, "v"))
    assert snapshot.state == "done"
    app.run()
    assert not app.exception
    edges = table(app, "how")
    assert set(edges["how"]) == {"measured"}
    assert edges["effect"].abs().is_monotonic_decreasing


def test_the_first_visit_to_path_patching_shows_the_strongest_path_of_all(visit: Visit):
    strongest = answers.answer(StrongestPathsRequest(EXPERIMENT)).result.table().iloc[0]
    app = visit("path_patching")
    assert app.number_input(key=Key.SOURCE_LAYER).value == strongest["sl"]
    assert app.number_input(key=Key.SOURCE_HEAD).value == strongest["sh"]
    assert app.session_state[Key.COMPONENT] == strongest["component"] == "v"


def test_a_full_queue_is_a_sentence(visit: Visit, monkeypatch: pytest.MonkeyPatch):
    def full(request: AllSourcesRequest, *_: object) -> jobs.Job[AllSourcesResult]:
        raise PathscopeError("The queue is full.")

    monkeypatch.setattr("analysis.jobs.submit", full)
    app = visit("all_sources", corrupted="When Mary and John went to the store, Alice gave a drink to")
    assert not app.exception
    assert "The queue is full." in texts(app)


def test_every_sanity_check_of_the_first_example_holds(visit: Visit):
    app = visit("sanity_checks")
    assert not app.exception
    held, of = app.metric[0].value.split(" of ")
    assert held == of and int(of) >= 10
