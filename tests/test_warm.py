"""Warming stores all that the ready examples show, once."""

from __future__ import annotations

import pytest

from analysis import answers, warm
from analysis.demo_model.examples import EXAMPLES
from analysis.models import DEMO
from analysis.requests import Experiment
from analysis.results import (
    AllSourcesRequest,
    EdgeSetsRequest,
    NodeAttributionRequest,
    OverviewRequest,
    PathRequest,
    PromptSetRequest,
    StrongestPathsRequest,
)
from analysis.sets import READY_KINDS
from tests.pages import looking

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def one_example(monkeypatch):
    only(EXAMPLES[4], monkeypatch)
    return EXAMPLES[4]


def only(example, monkeypatch):
    """Warm one example, of the trained bundled model."""
    monkeypatch.setattr(warm, "ready_examples", lambda model: (example,) if model == DEMO else ())


def test_everything_a_page_opens_with_is_stored_and_stays(monkeypatch, one_example):
    requests = list(warm.requests_of(one_example))
    assert len(requests) == 16
    assert warm.main() == 0
    assert all(answers.stored(request) is not None for request in requests)
    experiment = next(request.experiment for request in requests)
    for component in ("q", "k", "v"):
        assert answers.stored(PathRequest(experiment, 0, 3, component)) is not None

    def compute(*_):
        raise AssertionError("it was stored")

    monkeypatch.setattr("analysis.answers.compute.compute", compute)
    monkeypatch.setattr("analysis.jobs.resume.steps", compute)
    assert warm.main() == 0


def test_five_prompts_of_a_kind_are_ready_when_they_are_asked_for(monkeypatch, one_example):
    assert warm.main(["--sets"]) == 0
    asked = list(warm.requests_of_set(one_example))
    assert isinstance(asked[0], PromptSetRequest) and asked[0].size == 5
    assert {type(request) for request in asked[1:]} >= {
        OverviewRequest,
        NodeAttributionRequest,
        StrongestPathsRequest,
        EdgeSetsRequest,
    }

    def compute(*_):
        raise AssertionError("it was stored")

    monkeypatch.setattr("analysis.answers.compute.compute", compute)
    assert warm.main(["--sets"]) == 0
    [kind] = [kind for kind in READY_KINDS.values() if kind.example == one_example]
    example = kind.first._asdict()
    told = dict.fromkeys(("circuit", "direct_logit_attribution"), "Over 5 prompts") | {"prompt_set": "5 of 5"}
    for page, words in told.items():
        app = looking.visit(page, set=f"{kind.name}-5", **example)
        assert not app.exception and words in looking.texts(app)


def test_what_cannot_be_stored_is_said(monkeypatch, capsys):
    monkeypatch.setattr(
        "analysis.store.store.Store.put", lambda *_: "Shown but not stored: the disk is full."
    )
    only(EXAMPLES[4], monkeypatch)
    monkeypatch.setattr(warm, "requests_of", lambda e, model: [OverviewRequest(_experiment())])
    assert warm.main() == 1
    assert (
        f"{EXAMPLES[4].title}, OverviewRequest: Shown but not stored: the disk is full."
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("kind", [OverviewRequest, AllSourcesRequest])
def test_what_cannot_be_computed_is_said(monkeypatch, capsys, kind):
    broken = Experiment("demo", "The day after Monday is", "Too short", " Tuesday", " Sunday")
    only(EXAMPLES[4], monkeypatch)
    monkeypatch.setattr(warm, "requests_of", lambda example, model: [kind(broken)])
    assert warm.main() == 1
    assert f"{kind.__name__}: The clean prompt has" in capsys.readouterr().err


def test_a_bad_setting_is_said_once(monkeypatch, capsys):
    monkeypatch.setenv("PATHSCOPE_WORKERS", "0")
    assert warm.main() == 1
    assert capsys.readouterr().err.count("PATHSCOPE_WORKERS is '0'") == 1


def _experiment() -> Experiment:
    example = EXAMPLES[4]
    return Experiment("demo", example.clean, example.corrupted, example.answer, example.foil)
