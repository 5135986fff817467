"""A kind of question is declared once: its name, its fields, its result."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from analysis.requests import Experiment, kinds
from analysis.results import (
    AllSourcesRequest,
    AttributionRequest,
    ChosenPathsRequest,
    CircuitRequest,
    CircuitScoresRequest,
    DraftRequest,
    EdgePositionsRequest,
    EdgeSetsRequest,
    GraphRequest,
    HeadPathsRequest,
    NeuronsRequest,
    NodeAttributionRequest,
    NodeRequest,
    OverviewRequest,
    PathRequest,
    PathsResult,
    PromptSetRequest,
    Request,
    Result,
    SanityRequest,
    StrongestPathsRequest,
    request_from_json,
    request_to_json,
)

EXPERIMENT = Experiment("demo", "a b", "a c", " x", " y")
ASKED = (
    OverviewRequest(EXPERIMENT),
    DraftRequest(EXPERIMENT),
    AttributionRequest(EXPERIMENT, "head", "corrupted"),
    PathRequest(EXPERIMENT, 1, 2, "v", "exact", "kl_from_clean"),
    AllSourcesRequest(EXPERIMENT, "k"),
    SanityRequest(EXPERIMENT),
    GraphRequest(EXPERIMENT, "kl_from_clean"),
    EdgeSetsRequest(EXPERIMENT, ((("embed", "MLP0"), ("L0H1", "L1H0.q")), ())),
    EdgePositionsRequest(EXPERIMENT, (("embed", "MLP0"),)),
    CircuitScoresRequest(EXPERIMENT, (("embed", "MLP0"),), 20),
    CircuitRequest(EXPERIMENT, 0.8),
    NodeRequest(EXPERIMENT, "L1H0", ("L0H1", "L1H0.q"), "kl_from_clean"),
    NodeAttributionRequest(EXPERIMENT),
    NeuronsRequest(EXPERIMENT, "MLP3", 4),
    StrongestPathsRequest(EXPERIMENT, "exact", "kl_from_clean", 7),
    HeadPathsRequest(EXPERIMENT, 1, 2, "exact"),
    ChosenPathsRequest(EXPERIMENT, (("L0H1", "L1H0.q"), ("L0H0", "L2H0.v"))),
    PromptSetRequest(EXPERIMENT, "{A} and {B}: {S} to", 7),
)
#: Kinds whose answers are of one type.
OF_ONE_TYPE = dict.fromkeys((StrongestPathsRequest, HeadPathsRequest, ChosenPathsRequest), PathsResult)


@pytest.mark.parametrize("request_", ASKED, ids=lambda request: type(request).__name__)
def test_a_request_survives_json(request_):
    assert request_from_json(json.loads(json.dumps(request_to_json(request_)))) == request_


@pytest.mark.parametrize("request_", ASKED, ids=lambda request: type(request).__name__)
def test_a_request_names_the_type_of_its_result(request_):
    own = type(request_).__name__.replace("Request", "Result")
    expected = OF_ONE_TYPE[type(request_)].__name__ if type(request_) in OF_ONE_TYPE else own
    assert request_.result_type().__name__ == expected
    assert issubclass(request_.result_type(), Result)


def test_those_are_the_kinds_of_the_house():
    assert {kind for kind in kinds() if kind.__module__.startswith("analysis.")} == set(map(type, ASKED))


def test_what_is_asked_unless_something_else_is_said():
    """As the analysis functions have it: the clean run by component, queries under a frozen norm."""
    assert AttributionRequest(EXPERIMENT) == AttributionRequest(EXPERIMENT, unit="component", run="clean")
    options = {"component": "q", "layer_norm": "frozen", "metric": "logit_difference"}
    assert PathRequest(EXPERIMENT, 1, 2) == PathRequest(EXPERIMENT, source_layer=1, source_head=2, **options)
    assert AllSourcesRequest(EXPERIMENT) == AllSourcesRequest(EXPERIMENT, **options)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kind": "NoSuchRequest"},
        {"kind": "OverviewRequest"},
        request_to_json(ASKED[0]) | {"more": 1},
        request_to_json(ASKED[0]) | {"experiment": {"model": "demo"}},
        request_to_json(ASKED[0]) | {"experiment": None},
        request_to_json(ASKED[0]) | {"kind": ["OverviewRequest"]},
    ],
)
def test_foreign_input_is_refused(fields):
    with pytest.raises((KeyError, TypeError)):
        request_from_json(fields)


def test_two_kinds_cannot_share_a_name():
    with pytest.raises(
        TypeError, match=r"analysis\.results\.overview and tests\..* both declare a OverviewRe"
    ):

        @dataclass(frozen=True)
        class OverviewRequest(Request[Result]):
            pass

    assert {kind.__module__ for kind in kinds() if kind.__name__ == "OverviewRequest"} == {
        "analysis.results.overview"
    }
