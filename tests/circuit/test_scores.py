"""Scores and curves of circuits: their definitions by hooks, TransformerLens's faithfulness, random sets."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from transformer_lens.tools.analysis.attribution_patching import Node, faithfulness

from analysis import circuit_curve, circuit_scores, edge_effects, edge_estimates, residual_graph
from analysis.circuit.curve import MIB_PERCENT, CircuitCurve
from analysis.circuit.scores import random_sets
from analysis.errors import MetricError, PathscopeError
from analysis.metrics import LogitDifference
from analysis.nodes import Graph
from tests.circuit.reference import patched_set
from tests.edges.reference import Labels, every_edge, reader_kind, swapped, writer_kind
from tests.runs import Runs, computed_in_float64, family_runs

METRIC = LogitDifference(7, 11)


def metric_of(logits: torch.Tensor) -> float:
    return float(METRIC(logits))


def some_edges(runs: Runs, share: float = 0.3) -> list[Labels]:
    edges = every_edge(runs)
    return random.Random(str(share)).sample(edges, round(share * len(edges)))


def scores(runs: Runs, edges: list[Labels], n_random: int = 0):
    return circuit_scores(runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC, edges, n_random)


@torch.no_grad()
@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "phi", "gemma2"])
def test_scores_are_what_they_are_defined_as(family: str) -> None:
    runs = computed_in_float64(family)
    edges = some_edges(runs)
    others = [edge for edge in every_edge(runs) if edge not in edges]
    clean, corrupted = (metric_of(runs.model(t)) for t in (runs.clean_tokens, runs.corrupted_tokens))
    found = scores(runs, edges)
    difference = clean - corrupted
    into_corrupted = metric_of(patched_set(runs, edges))
    into_clean = metric_of(patched_set(swapped(runs), edges))
    without_others = metric_of(patched_set(swapped(runs), others))
    assert found.brings_back == pytest.approx((into_corrupted - corrupted) / difference, abs=1e-6)
    assert found.breaks == pytest.approx((clean - into_clean) / difference, abs=1e-6)
    assert found.faithfulness == pytest.approx((without_others - corrupted) / difference, abs=1e-6)
    alone = edge_effects(runs.model, runs.corrupted_tokens, runs.clean_tokens, edges, METRIC)
    assert found.sum_of_effects == pytest.approx(float(alone.sum()) / difference, rel=1e-9)


@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama"])
def test_faithfulness_is_that_of_transformer_lens(family: str) -> None:
    runs = family_runs(family, batch=1)
    edges = some_edges(runs, 0.5)
    nodes = [
        nodes_at(edge, position, runs.model.cfg.n_layers)
        for edge in edges
        for position in range(runs.clean_tokens.shape[1])
    ]
    theirs = faithfulness(runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC, nodes)
    assert theirs.circuit_size == len(nodes)
    assert scores(runs, edges).faithfulness == pytest.approx(theirs.recovered, abs=1e-5)


def nodes_at(edge: Labels, position: int, n_layers: int) -> tuple[Node, Node]:
    """An edge as TransformerLens names it at one position."""
    writer, reader = edge
    numbers = [int(number) for number in writer[1:].split("H")] if writer[0] == "L" else []
    if writer == "embed":
        source = Node(kind="embed", position=position)
    elif numbers:
        source = Node(kind="attn_head_out", layer=numbers[0], head=numbers[1], position=position)
    else:
        source = Node(kind="mlp_out", layer=int(writer[3:]), position=position)
    if reader == "logits":
        return source, Node(kind="logits", layer=n_layers - 1, position=position)
    if reader.startswith("MLP"):
        return source, Node(kind="mlp_in", layer=int(reader[3:]), position=position)
    head, _, component = reader.partition(".")
    layer, number = map(int, head[1:].split("H"))
    return source, Node(kind=f"{component}_input", layer=layer, head=number, position=position)


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_everything_is_faithful_and_nothing_is_not(family: str) -> None:
    runs = family_runs(family)
    every, nothing = scores(runs, every_edge(runs)), scores(runs, [])
    for score in ("brings_back", "breaks", "faithfulness"):
        assert getattr(every, score) == pytest.approx(1.0, abs=1e-9)
        assert getattr(nothing, score) == pytest.approx(0.0, abs=1e-9)


def test_an_edge_named_twice_counts_once() -> None:
    runs = family_runs("gpt2")
    edges = some_edges(runs, 0.1)
    once, twice = scores(runs, edges), scores(runs, edges + edges)
    assert once.sum_of_effects == twice.sum_of_effects and len(once.edges) == len(twice.edges)


def test_random_sets_have_the_same_size_and_mix() -> None:
    graph = Graph(3, 4)
    chosen = np.zeros_like(graph.exists)
    labels = random.Random(0).sample([tuple(edge) for edge in graph.labels(graph.edges)], 60)
    chosen[tuple(graph.index(labels).T)] = True
    mixes = []
    drawn = random_sets(graph, chosen, 20)
    for one in [chosen, *drawn]:
        assert not (one & ~graph.exists).any()
        mixes.append(sorted((writer_kind(w), reader_kind(r)) for w, r in graph.labels(np.argwhere(one))))
    assert all(mix == mixes[0] for mix in mixes)
    assert len({one.tobytes() for one in drawn}) == 20


def test_the_percentile_counts_the_random_sets_below() -> None:
    runs = family_runs("gpt2")
    found = scores(runs, some_edges(runs, 0.1), n_random=12)
    for score in ("brings_back", "breaks", "faithfulness"):
        others = getattr(found.random, score)
        assert len(others) == 12
        below = sum(other < getattr(found, score) for other in others)
        assert found.percentile(score) == pytest.approx(100 * below / 12)
    assert np.isnan(scores(runs, some_edges(runs, 0.1)).percentile())


def test_the_curve_is_read_at_the_points_of_mib() -> None:
    runs = family_runs("llama-grouped")
    arguments = runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC
    ranking = edge_estimates(runs.model, runs.corrupted_tokens, runs.clean_tokens, METRIC)
    curve, graph = circuit_curve(*arguments, ranking), residual_graph(runs.model)
    assert [*curve.n_edges] == [max(1, round(len(graph) * percent / 100)) for percent in MIB_PERCENT]
    flat = ranking[tuple(graph.edges.T)].numpy()
    for name, order in (("by_size", np.argsort(-np.abs(flat))), ("by_sign", np.argsort(-flat))):
        for point in (3, 6):
            labels = graph.labels(graph.edges[order[: curve.n_edges[point]]])
            found = scores(runs, labels)
            assert getattr(curve, name)[point] == pytest.approx(found.faithfulness, abs=1e-9)
            if name == "by_size":
                assert curve.brings_back[point] == pytest.approx(found.brings_back, abs=1e-9)
    assert curve.by_size[-1] == pytest.approx(1.0, abs=1e-9)


def test_the_areas_are_trapezoids_over_the_share_of_edges() -> None:
    ones, share = np.ones(10), np.array(MIB_PERCENT) / 100
    sizes = np.arange(1, 11)
    perfect = CircuitCurve(sizes, ones, ones, ones)
    assert perfect.cmd == 0.0 and perfect.cpr == pytest.approx(0.999)
    straight = CircuitCurve(sizes, share, share, ones)
    assert straight.cpr == pytest.approx((1 - 0.001**2) / 2)
    assert straight.cmd == pytest.approx(0.999 - (1 - 0.001**2) / 2)


def test_nothing_is_divided_by_nothing() -> None:
    runs = family_runs("gpt2")
    with pytest.raises(PathscopeError, match="Choose prompts, or a metric, that differ"):
        circuit_scores(runs.model, runs.clean_tokens, runs.clean_tokens, METRIC, [])
    with pytest.raises(MetricError, match="vocabulary"):
        circuit_scores(runs.model, runs.clean_tokens, runs.corrupted_tokens, LogitDifference(7, 10**6), [])


@pytest.mark.parametrize("n_random", [-1, 2.5, True])
def test_a_number_of_random_sets_that_cannot_be(n_random: object) -> None:
    with pytest.raises(PathscopeError, match="n_random is"):
        scores(family_runs("gpt2"), [], n_random)


def test_a_ranking_of_another_model() -> None:
    runs = family_runs("gpt2")
    arguments = runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC
    with pytest.raises(PathscopeError, match="has the shape"):
        circuit_curve(*arguments, np.zeros((3, 3)))
    shape = residual_graph(runs.model).exists.shape
    with pytest.raises(PathscopeError, match=r"no finite score for embed -> L0H0\.q"):
        circuit_curve(*arguments, np.full(shape, np.nan))
