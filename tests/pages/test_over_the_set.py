"""What pages about one pair tell of a prompt set: the numbers of its single prompts, brought together."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from analysis.answers import answer, compute, stored
from analysis.circuit import patch_edges
from analysis.experiment import prepare
from analysis.metrics import named_metric
from analysis.models import load
from analysis.requests import Experiment
from analysis.results import (
    ChosenPathsRequest,
    EdgeLabels,
    EdgeSetsRequest,
    GraphRequest,
    NodeAttributionRequest,
    PromptSet,
    PromptSetRequest,
    Request,
    SanityRequest,
    StrongestPathsRequest,
    TextPair,
)
from analysis.sets import READY_KINDS
from pages.shared import set_answers
from pages.shared.keys import Key
from pages.shared.set_state import word_of
from tests.pages.looking import captions, chart, metrics, table, texts

Visit = Callable[..., AppTest]
FIRST = READY_KINDS["drinks"].first
PAGES = ("direct_logit_attribution", "path_patching", "all_sources", "sanity_checks", "circuit")
MEASURE = f"{Key.SET_OVER}_button"
WRONG = TextPair("The day after Monday is", "The day after Good Friday is", " Tuesday", " Saturday")
PATH = "L0H7 → L2H5.v"


@pytest.fixture(autouse=True)
def nothing_stored(own_store: None) -> None:
    """What a test has not asked for is not there."""


@pytest.fixture
def graph() -> None:
    """The circuit page shows its graph at once, and that of another foil."""
    for experiment in (FIRST.on("demo"), replace(FIRST.on("demo"), foil=" Helen")):
        answer(GraphRequest(experiment))


def experiments(size: int = 3) -> list[Experiment]:
    request = PromptSetRequest(FIRST.on("demo"), None, size)
    return list(answer(request).result.prompt_set.experiments("demo"))


def measured(visit: Visit, page: str, **parameters: str) -> AppTest:
    """The page, after its set has been asked for."""
    app = visit(page, **{"set": "drinks-3", **parameters})
    app.button(key=MEASURE).click().run()
    assert not app.exception
    return app


def sentence(app: AppTest, begins: str = "Over ") -> str:
    [found] = [line for line in texts(app).splitlines() if line.startswith(begins)]
    return found


def numbers(said: str) -> list[float]:
    return [float(found) for found in re.findall(r"[+-]?\d+\.\d+", said.replace("\N{MINUS SIGN}", "-"))]


@pytest.mark.parametrize("page", PAGES)
def test_one_prompt_is_called_one_prompt_and_more_are_a_click_away(visit: Visit, graph: None, page: str):
    app = visit(page)
    assert "This is one prompt: whether anything here holds for others is not known." in texts(app)
    app.button(key=f"{Key.SET_OVER}_kind").click().run()
    assert not app.exception and app.query_params["set"] == "drinks-5"
    assert "Over 5 prompts" in texts(app) and "This is one prompt:" not in texts(app)
    other = visit(page, foil=" Helen")
    assert "This is one prompt:" in texts(other)
    assert not [button for button in other.button if button.key == f"{Key.SET_OVER}_kind"]


def test_a_node_is_told_with_its_mean_error_sign_and_rank(visit: Visit):
    app = measured(visit, "direct_logit_attribution", selected="L2H5", run="corrupted")
    results = [answer(NodeAttributionRequest(one)).result for one in experiments()]
    effects, ranks = [], []
    for result in results:
        rows = result.table("corrupted", -1).set_index("node")["attribution"]
        effects.append(rows["L2H5"])
        ranks.append(1 + int((rows.abs() > abs(rows["L2H5"])).sum()))
    said = sentence(app)
    assert numbers(said)[:2] == pytest.approx([np.mean(effects), np.std(effects, ddof=1) / 3**0.5], abs=0.005)
    same = sum(np.sign(effects) == np.sign(np.mean(effects)))
    assert f"with the same sign in {same} of 3. Rank by size among all nodes: " in said
    told = f"{ranks[0]} in each" if len(set(ranks)) == 1 else f"{ranks[0]}, {ranks[1]} and {ranks[2]}"
    assert f"all nodes: {told}." in said


@pytest.mark.parametrize(
    ("page", "parameters", "kinds"),
    [
        ("direct_logit_attribution", {"selected": "L2H5"}, [NodeAttributionRequest]),
        ("all_sources", {"selected": PATH}, [StrongestPathsRequest]),
        (
            "path_patching",
            {"selected": "L0H0 → L1H0.q", "source_layer": "0", "source_head": "0"},
            [StrongestPathsRequest, ChosenPathsRequest],
        ),
        ("sanity_checks", {}, [SanityRequest]),
        ("circuit", {}, [EdgeSetsRequest]),
    ],
)
def test_what_is_asked_of_each_prompt_is_asked_of_a_cluster_for_all_of_them_at_once(
    visit: Visit,
    graph: None,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    parameters: dict[str, str],
    kinds: list[type[Request]],
):
    asked: list[list[Request]] = []

    def ahead(requests: Sequence[Request]) -> list[tuple[int, int]]:
        missing = [request for request in requests if stored(request) is None]
        asked.extend([missing] if missing else [])
        for request in missing:
            answer(request)
        return []

    monkeypatch.setattr(set_answers, "ahead", ahead)
    measured(visit, page, **parameters)
    assert len(asked) == len(kinds)
    assert {type(request) for requests in asked for request in requests} == set(kinds)
    for requests in asked:
        assert {request.experiment for request in requests} >= set(experiments()[1:])


@pytest.mark.parametrize("page", ["path_patching", "all_sources"])
def test_a_path_is_told_as_the_page_asks_for_it(visit: Visit, page: str):
    app = measured(visit, page, selected=PATH, layer_norm="exact", source_layer="0", source_head="7")
    ends = tuple(PATH.split(" → "))
    effects = [
        float(answer(ChosenPathsRequest(one, (ends,), "exact")).result.effect[0]) for one in experiments()
    ]
    said = sentence(app)
    assert said.startswith(f"Over 3 prompts {PATH} has an effect of")
    assert numbers(said)[:2] == pytest.approx([np.mean(effects), np.std(effects, ddof=1) / 3**0.5], abs=0.005)
    assert "Rank by size among the strongest paths of each prompt: 1 in each. It is called robust." in said


def test_the_spread_is_shown_on_demand(visit: Visit):
    app = measured(visit, "path_patching", selected=PATH, source_layer="0", source_head="7")
    before = len(app.dataframe)
    app.session_state[Key.SET_EACH] = True
    app.run()
    assert len(app.dataframe) == before + 1
    each = table(app, "rank")
    ends = tuple(PATH.split(" → "))
    effects = [float(answer(ChosenPathsRequest(one, (ends,))).result.effect[0]) for one in experiments()]
    assert each["effect"].tolist() == pytest.approx(effects, abs=1e-4)
    assert each["prompt"].tolist() == [1, 2, 3]


def test_another_node_needs_no_other_click_and_a_second_visit_none(visit: Visit, monkeypatch):
    app = measured(visit, "direct_logit_attribution", selected="L2H5")
    app.session_state[Key.SELECTED] = "L0H6"
    app.run()
    assert "Over 3 prompts L0H6 writes" in sentence(app)

    def refuse(request, store):
        raise AssertionError(f"computed {request}")

    monkeypatch.setattr("analysis.answers.compute.compute", refuse)
    again = visit("direct_logit_attribution", set="drinks-3", selected="L2H5")
    assert not again.exception and "Over 3 prompts L2H5 writes" in sentence(again)


def hand_scores(edges: EdgeLabels, metric_name: str) -> tuple[np.ndarray, np.ndarray]:
    """What the edges move in each prompt [prompt score] and the differences, by one patched run each."""
    moved, differences = [], []
    model = load("demo").bridge
    for one in experiments():
        pair = prepare(model, one)
        with torch.no_grad():
            metric = named_metric(metric_name, pair, model(pair.clean))
            clean, corrupted = float(metric(model(pair.clean))), float(metric(model(pair.corrupted)))
            back = float(patch_edges(model, pair.corrupted, pair.clean, edges, metric))
            broken = float(patch_edges(model, pair.clean, pair.corrupted, edges, metric))
            graph = answer(GraphRequest(one)).result.graph
            others = tuple(edge for edge in graph.labels(graph.edges) if edge not in edges)
            kept = float(patch_edges(model, pair.clean, pair.corrupted, others, metric))
        moved.append([back - corrupted, clean - broken, kept - corrupted])
        differences.append(clean - corrupted)
    return np.array(moved), np.array(differences)


def test_the_circuit_is_told_as_a_ratio_of_means_with_a_dot_for_each_prompt(visit: Visit, graph: None):
    app = measured(visit, "circuit", edges="12")
    edges = answer(GraphRequest(FIRST.on("demo"))).result.strongest(12)
    moved, differences = hand_scores(edges, "logit_difference")
    ratio = moved.sum(axis=0) / differences.sum()
    shown = metrics(app)
    for title, value in zip(("Brings back", "Breaks", "Faithful"), ratio, strict=True):
        assert shown[f"{title}, 3 prompts"] == f"{100 * value:.0f} %"
    assert f"these 12 paths bring back {100 * ratio[0]:.0f} %" in sentence(app)
    assert f"and alone keep {100 * ratio[2]:.0f} %: ratios of means." in sentence(app)
    others = moved[1:].sum(axis=0) / differences[1:].sum()
    without = f"on which they were chosen: {100 * others[0]:.0f} %, and {100 * others[2]:.0f} %."
    assert without in sentence(app)
    by_prompt = table(app, "faithfulness")
    assert by_prompt["prompt"].tolist() == ["1", "2", "3", "all"]
    shares = moved / differences[:, None]
    for column, name in enumerate(("brings_back", "breaks", "faithfulness")):
        assert by_prompt[name].tolist() == pytest.approx([*shares[:, column], ratio[column]], abs=1e-5)
    dots = [mark for index in range(len(app.get("vega_lite_chart"))) for mark in dots_of(app, index)]
    assert len(dots) == 9


def dots_of(app: AppTest, index: int) -> list:
    try:
        return chart(app, index).of("symbol", "clean minus corrupted")
    except KeyError:
        return []


def test_other_paths_are_asked_for_anew(visit: Visit, graph: None):
    app = measured(visit, "circuit", edges="12")
    app.session_state[Key.EDGES] = 5
    app.run()
    assert app.button(key=MEASURE) and "Over 3 prompts" not in texts(app)
    app.button(key=MEASURE).click().run()
    assert "these 5 paths bring back" in sentence(app)


def test_a_pair_that_the_model_does_not_take_is_named_and_left_out(visit: Visit, graph: None):
    word = word_of(PromptSet((FIRST, WRONG, TextPair(*(text.replace("store", "park") for text in FIRST)))))
    for page in ("circuit", "direct_logit_attribution"):
        app = measured(visit, page, set=word)
        assert "Prompt 2 is left out: The clean prompt has 6 tokens" in texts(app)
        assert "Over 2 prompts" in texts(app) and "nothing is called robust" in texts(app)


def test_the_identities_are_counted_over_the_prompts(visit: Visit, monkeypatch):
    app = measured(visit, "sanity_checks")
    results = [answer(SanityRequest(one)).result for one in experiments()]
    names = [name for name, *_ in results[0].checks]
    assert sentence(app) == f"Over 3 prompts {len(names)} of {len(names)} checks hold in each."
    rows = app.table[-1].value
    assert len(rows) == len(names) and set(rows.index) == {"✓ 3 of 3"}


def test_a_model_without_an_estimate_of_paths_says_so(visit: Visit, monkeypatch):
    from analysis.errors import UnsupportedModelError

    app = visit("path_patching", set="drinks-3", source_layer="0", source_head="7")

    def refuse(*_, **__):
        raise UnsupportedModelError("There is no estimate here.")

    monkeypatch.setattr("analysis.edges.exchange.Exchange.required_replay", refuse)
    app.button(key=MEASURE).click().run()
    assert not app.exception and "There is no estimate here." in texts(app)


def test_a_set_that_cannot_be_drawn_is_told_and_the_rest_of_the_page_stays(visit: Visit):
    app = visit("direct_logit_attribution", set="3:{A} and {B} and {S} in the {banana}")
    assert not app.exception and "There is no slot {banana}." in texts(app)
    assert "Read from the store." in captions(app) or "Computed just now." in captions(app)


def test_what_strangers_have_computed_is_counted(visit: Visit, monkeypatch):
    from collections import OrderedDict

    visit("direct_logit_attribution", set="drinks-3", selected="L2H5")
    monkeypatch.setenv("PATHSCOPE_HOSTED", "1")
    monkeypatch.setattr("analysis.policy._RESULTS", 1)
    monkeypatch.setattr("analysis.answers.visits._computed", OrderedDict())
    app = measured(visit, "direct_logit_attribution", selected="L2H5")
    assert "This visit has had 1 results computed" in texts(app)


def test_everything_is_kept_by_prompt(visit: Visit, monkeypatch):
    measured(visit, "sanity_checks")
    asked = []
    genuine = compute.compute

    def counting(request, store):
        asked.append(request)
        return genuine(request, store)

    monkeypatch.setattr("analysis.answers.compute.compute", counting)
    measured(visit, "sanity_checks", set="drinks-4")
    assert [type(request) for request in asked] == [PromptSetRequest, SanityRequest]
    assert asked[1].experiment == experiments(4)[3]
