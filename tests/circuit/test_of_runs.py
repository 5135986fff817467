"""What pages ask about circuits is what the functions of the room answer, on the bundled model."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import circuit_scores, edge_effects
from analysis.answers import answer
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import PathscopeError
from analysis.metrics import LogitDifference
from analysis.requests import Experiment
from analysis.results import (
    CircuitRequest,
    CircuitScoresRequest,
    EdgePositionsRequest,
    EdgeSetsRequest,
    GraphRequest,
    GraphResult,
)
from tests.edges.test_strongest import bundled

FIRST = EXAMPLES[0]
EXPERIMENT = Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, FIRST.foil)
EDGES = (("embed", "L0H7.v"), ("L0H7", "L2H5.v"), ("L2H5", "MLP2"), ("MLP3", "logits"))


@pytest.fixture(scope="module")
def graph() -> GraphResult:
    return answer(GraphRequest(EXPERIMENT)).result


def arguments():
    model = bundled()
    metric = LogitDifference(model.to_single_token(FIRST.answer), model.to_single_token(FIRST.foil))
    return model, model.to_tokens(FIRST.clean), model.to_tokens(FIRST.corrupted), metric


def test_what_is_measured_of_the_graph_is_what_single_edges_do(graph: GraphResult) -> None:
    model, clean, corrupted, metric = arguments()
    edges = graph.ranking[:40]
    labels, at = graph.graph.labels(edges), tuple(edges.T)
    brings_back = edge_effects(model, corrupted, clean, labels, metric).numpy() / graph.difference
    breaks = -edge_effects(model, clean, corrupted, labels, metric).numpy() / graph.difference
    assert graph.measured[0][at] == pytest.approx(brings_back, abs=1e-5)
    assert graph.measured[1][at] == pytest.approx(breaks, abs=1e-5)
    assert graph.n_done == graph.n_total and graph.proof and "strongest" in graph.proof
    assert graph.curve_faithfulness[-1] == pytest.approx(1.0, abs=1e-5)
    assert graph.curve_brings_back[-1] == pytest.approx(1.0, abs=1e-5)


def test_sets_and_random_controls_are_those_of_circuit_scores() -> None:
    model, clean, corrupted, metric = arguments()
    true = circuit_scores(model, clean, corrupted, metric, EDGES, 3)
    scores = answer(CircuitScoresRequest(EXPERIMENT, EDGES, 3)).result
    own = answer(EdgeSetsRequest(EXPERIMENT, (EDGES, ()))).result
    for name in ("brings_back", "breaks", "faithfulness"):
        assert getattr(scores, name)[0] == pytest.approx(getattr(true, name), abs=1e-5)
        assert getattr(scores, name)[1:] == pytest.approx(getattr(true.random, name), abs=1e-5)
        assert getattr(own, name)[0] == pytest.approx(getattr(true, name), abs=1e-5)
    assert scores.sum_of_effects == pytest.approx(true.sum_of_effects, abs=1e-5)
    assert own.brings_back[1] == pytest.approx(0.0, abs=1e-6) and own.breaks[1] == pytest.approx(0, abs=1e-6)


def test_an_edge_matters_where_its_writer_has_changed() -> None:
    found = answer(EdgePositionsRequest(EXPERIMENT, EDGES)).result
    differs = [a != b for a, b in zip(found.clean_tokens, found.corrupted_tokens, strict=True)]
    assert np.nonzero(found.brings_back[0])[0].tolist() == [differs.index(True)]
    assert found.strongest[-1] == len(differs) - 1


def test_the_circuit_that_is_found_holds_when_it_is_measured_anew() -> None:
    found = answer(CircuitRequest(EXPERIMENT, 0.8)).result
    anew = answer(EdgeSetsRequest(EXPERIMENT, (found.labels,))).result
    assert found.reached and anew.faithfulness[0] == pytest.approx(found.faithfulness, abs=1e-5)
    assert found.sizes[-1] == len(found.edges) == min(found.sizes)


def test_what_is_no_edge_is_said() -> None:
    with pytest.raises(PathscopeError, match="There is no path from MLP3 to MLP1"):
        answer(EdgeSetsRequest(EXPERIMENT, ((("MLP3", "MLP1"),),)))
