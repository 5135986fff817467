"""The first page tells what was found: the strongest path, what the strongest paths carry, who checked it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from analysis import jobs
from analysis.answers import answer
from analysis.results import EdgeSetsRequest, GraphRequest, StrongestPathsRequest
from pages.shared.circuit_words import finding
from pages.shared.findings import strongest_path
from tests.jobs.watching import ended
from tests.pages.looking import See, texts
from tests.pages.stored_results import EXPERIMENT, a_sanity

Visit = Callable[..., AppTest]


def small_graph(app: AppTest) -> list[str]:
    return [element.proto.alt for element in app.get("echarts_chart")]


def test_the_strongest_path_and_what_ten_paths_carry_are_said_and_drawn(visit: Visit):
    ended(jobs.submit(GraphRequest(EXPERIMENT)))
    app = visit("result")
    assert not app.exception and app.title[0].value == "Result"
    assert strongest_path(answer(StrongestPathsRequest(EXPERIMENT)).result) in texts(app)
    graph = answer(GraphRequest(EXPERIMENT)).result
    edges = tuple(graph.graph.labels(graph.ranking[:10]))
    own = answer(EdgeSetsRequest(EXPERIMENT, (edges,))).result
    assert finding(graph, own, 10) in texts(app)
    [said] = small_graph(app)
    nodes = {end.partition(".")[0] for edge in edges for end in edge}
    assert said == f"10 paths between {len(nodes)} nodes, up to the logits."


def test_the_badge_counts_the_identities_that_hold(see: See):
    app = see("result")
    badges = [one.value for one in app.markdown if "identities hold" in one.value]
    holding = sum(measured <= limit for *_, measured, limit in a_sanity().checks)
    assert len(badges) == 1 and f"{holding} of {len(a_sanity().checks)} identities hold" in badges[0]
    assert "red" in badges[0]


@pytest.mark.usefixtures("own_store")
def test_without_measured_identities_there_is_no_badge(visit: Visit):
    app = visit("result")
    assert not app.exception
    assert not [one for one in app.markdown if "identities hold" in one.value]


def test_identical_prompts_have_no_graph_and_no_finding(visit: Visit):
    app = visit("result", corrupted=EXPERIMENT.clean)
    assert not app.exception
    assert not small_graph(app) and "tells" not in texts(app)
