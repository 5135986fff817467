"""Questions of the bundled model, and a graph, scores and a circuit by hand, for the tests of what leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.demo_model.examples import EXAMPLES
from analysis.nodes import Graph
from analysis.requests import Experiment
from analysis.results import CircuitScoresRequest, CircuitScoresResult, EdgeLabels, GraphRequest, GraphResult
from tests.computing import provenance

EXAMPLE = EXAMPLES[0]
DEMO = Experiment("demo", EXAMPLE.clean, EXAMPLE.corrupted, EXAMPLE.answer, EXAMPLE.foil)
OTHER = replace(
    DEMO, clean=DEMO.clean.replace("store", "park"), corrupted=DEMO.corrupted.replace("store", "park")
)
OF_DEMO = (
    ("embed", "L0H3.v"),
    ("L0H3", "L1H2.k"),
    ("L1H2", "L3H1.q"),
    ("MLP2", "L3H1.v"),
    ("L3H1", "MLP3"),
    ("L2H5", "logits"),
    ("L3H1", "logits"),
    ("MLP3", "logits"),
)
ENDS = tuple(edge for edge in OF_DEMO if edge[1] == "logits" and edge[0][0] == "L")
BETWEEN = (("it's", tuple(writer for writer, _ in ENDS)), ("$end", ("logits",)))

GRAPH = Graph(2, 2)
EDGES: EdgeLabels = (("embed", "L0H1.k"), ("L0H1", "L1H0.q"), ("L1H0", "logits"), ("L0H1", "MLP1"))
GROUPS = (("name movers", ("L1H0", "logits")), ("¿früher?", ("L0H1",)))


def experiment(model: str = "demo") -> Experiment:
    return Experiment(model, 'a \'b\' """c""" \\d $edges', "a\nb\u202e c d", " x", " \ud800")


def _fields(model: str) -> dict:
    return {
        "shape": (2, 2, True, False),
        "clean_metric": 3.0,
        "corrupted_metric": -1.0,
        "clean_tokens": ("a", "b"),
        "corrupted_tokens": ("a", "c"),
        "provenance": provenance(),
    }


def graph_result(model: str = "demo") -> GraphResult:
    """Estimates that fall from edge to edge; the first four of the ranking are measured."""
    estimated = np.full((2, *GRAPH.exists.shape), np.nan)
    measured = estimated.copy()
    edges = GRAPH.edges
    worth = np.linspace(0.9, -0.1, len(edges))
    estimated[0][tuple(edges.T)], estimated[1][tuple(edges.T)] = worth, worth / 3
    measured[:, *edges[:4].T] = estimated[:, *edges[:4].T] + 0.01
    nothing = np.empty(0)
    return GraphResult(
        request=GraphRequest(experiment(model)),
        estimated=estimated,
        measured=measured,
        curve_edges=np.empty(0, dtype=int),
        curve_faithfulness=nothing,
        curve_brings_back=nothing,
        areas=nothing,
        proof=None,
        **_fields(model),
    )


def scores_result(edges: EdgeLabels = EDGES, random: tuple[float, ...] = (0.1, 0.9, 0.2, 0.0)):
    own = np.array([0.8, *random])
    return CircuitScoresResult(
        request=CircuitScoresRequest(experiment(), edges, len(random)),
        brings_back=own,
        breaks=own / 2,
        faithfulness=own**2,
        sum_of_effects=0.7,
        **_fields("demo"),
    )
