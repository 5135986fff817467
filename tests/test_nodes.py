"""The residual graph: which places there are, in which order, and between which of them a path runs."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.errors import PathscopeError
from analysis.nodes import Graph

GRAPHS = {
    "sequential": Graph(3, 4),
    "parallel": Graph(3, 4, parallel=True),
    "attention only": Graph(3, 4, has_mlps=False),
    "one layer, one head": Graph(1, 1),
}
every_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)


@pytest.mark.parametrize(
    ("graph", "edges"),
    [
        (Graph(12, 12), 32_491),
        (Graph(30, 9), 123_211),
        # Without the 12 heads of each block that its MLP does not hear.
        (Graph(12, 12, parallel=True), 32_491 - 12 * 12),
        # embed and 12 heads of each layer below, into 36 inputs and the logits.
        (Graph(12, 12, has_mlps=False), sum(36 * (1 + 12 * layer) for layer in range(12)) + 145),
        # embed to q, k, v, MLP and logits; head to MLP and logits; MLP to logits.
        (Graph(1, 1), 5 + 2 + 1),
        (Graph(1, 1, parallel=True), 5 + 1 + 1),
        (Graph(1, 1, has_mlps=False), 4 + 1),
    ],
    ids=["GPT-2 small", "SmolLM2-135M", "parallel", "attention only", "tiny", "tiny parallel", "tiny heads"],
)
def test_how_many_edges_there_are(graph, edges):
    assert len(graph) == edges == len(graph.edges) == graph.exists.sum()


def test_places_stand_in_the_order_in_which_they_run():
    graph = Graph(2, 2)
    assert graph.writers == ("embed", "L0H0", "L0H1", "MLP0", "L1H0", "L1H1", "MLP1")
    assert " ".join(graph.readers) == (
        "L0H0.q L0H1.q L0H0.k L0H1.k L0H0.v L0H1.v MLP0 L1H0.q L1H1.q L1H0.k L1H1.k L1H0.v L1H1.v MLP1 logits"
    )
    heads = Graph(2, 1, has_mlps=False)
    assert heads.writers == ("embed", "L0H0", "L1H0")
    assert heads.readers == ("L0H0.q", "L0H0.k", "L0H0.v", "L1H0.q", "L1H0.k", "L1H0.v", "logits")


@every_graph
def test_labels_are_all_different_and_find_their_places_again(graph):
    assert len(set(graph.writers)) == len(graph.writers) == len(graph.writer_places)
    assert len(set(graph.readers)) == len(graph.readers) == len(graph.reader_places)
    assert (graph.index(graph.labels(graph.edges)) == graph.edges).all()
    backwards = graph.edges[::-1]
    assert (graph.index(graph.labels(backwards)) == backwards).all()
    assert graph.index([]).shape == (0, 2)


@every_graph
def test_edges_are_by_writer_and_then_by_reader(graph):
    assert sorted(map(tuple, graph.edges.tolist())) == list(map(tuple, graph.edges.tolist()))
    # A writer that runs later reaches no reader that an earlier one does not.
    assert (graph.exists[:-1] >= graph.exists[1:]).all()
    assert graph.exists[0].all()
    assert graph.exists[:, -1].all()


@pytest.mark.parametrize(
    ("writer", "reader", "sequential", "parallel"),
    [
        ("L1H2", "MLP1", True, False),
        ("L1H2", "MLP2", True, True),
        ("L1H2", "MLP0", False, False),
        ("L1H2", "L1H3.v", False, False),
        ("L1H2", "L2H0.q", True, True),
        ("MLP1", "MLP1", False, False),
        ("MLP1", "L1H0.k", False, False),
        ("MLP1", "MLP2", True, True),
        ("MLP1", "L2H3.k", True, True),
        ("MLP2", "logits", True, True),
        ("embed", "L0H0.q", True, True),
        ("embed", "MLP0", True, True),
    ],
)
def test_a_writer_reaches_what_reads_after_it(writer, reader, sequential, parallel):
    for graph, exists in ((GRAPHS["sequential"], sequential), (GRAPHS["parallel"], parallel)):
        if exists:
            assert graph.labels(graph.index([(writer, reader)])) == [(writer, reader)]
            continue
        with pytest.raises(
            PathscopeError, match=f"no path from {writer} to {reader}: .* before {writer} writes"
        ):
            graph.index([("embed", "logits"), (writer, reader)])


@pytest.mark.parametrize(
    ("edge", "sentence"),
    [
        (
            ("L0H9", "logits"),
            "no 'L0H9'.*Writers are 'embed' to 'MLP2', readers 'L0H0.q' to 'MLP2' and 'logits'",
        ),
        (("L0H0", "L1H0"), "no 'L1H0' at this end"),
        (("L0H0.q", "logits"), "no 'L0H0.q' at this end"),
        (("logits", "MLP1"), "no 'logits' at this end"),
        (("embed", "embed"), "no 'embed' at this end"),
        (("embed", "MLP3"), "no 'MLP3'"),
        (("l0h0", "logits"), "no 'l0h0'"),
        ((0, 1), "no 0 at this end"),
        (("embed",), r"\('embed',\) is no edge; give .* such as \('L0H0', 'logits'\)"),
        (("embed", "MLP0", "logits"), "is no edge"),
        ("embed", "'embed' is no edge"),
        (7, "7 is no edge"),
        (([], "logits"), "is no edge"),
    ],
    ids=str,
)
def test_what_is_no_edge_is_refused_in_a_sentence(edge, sentence):
    with pytest.raises(PathscopeError, match=sentence):
        GRAPHS["sequential"].index([edge])


@every_graph
@pytest.mark.parametrize("component", ["q", "k", "v"])
def test_paths_between_heads_are_edges(graph, component):
    paths = [
        (a, b, c, d)
        for c in range(graph.n_layers)
        for a in range(c)
        for b in range(graph.n_heads)
        for d in range(graph.n_heads)
    ]
    edges = graph.between_heads(np.array(paths, dtype=int).reshape(-1, 4), component)
    assert graph.labels(edges) == [(f"L{a}H{b}", f"L{c}H{d}.{component}") for a, b, c, d in paths]
    marked = np.argwhere(graph.heads_into(component))
    assert sorted(marked.tolist()) == sorted(edges.tolist())
