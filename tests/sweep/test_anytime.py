"""Pieces that can be drawn, stored, ordered, stopped and resumed."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from analysis.errors import Cancelled, PathscopeError
from analysis.metrics import LogitDifference
from analysis.requests import HEAD_INPUTS
from analysis.sweep import Sweep
from tests.runs import Runs, causal, family_runs, last_logit_difference

METRIC = LogitDifference(answer=7, foil=11)
#: So little that each destination layer takes several pieces.
TIGHT = 2**18


def edges_of(pieces) -> list[tuple[int, ...]]:
    return [tuple(edge) for piece in pieces for edge in piece.edges.tolist()]


def all_edges(runs: Runs) -> set[tuple[int, ...]]:
    return {tuple(edge) for edge in causal(runs).nonzero().tolist()}


@pytest.mark.parametrize("memory_bytes", [TIGHT, 2**30])
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_pieces_cover_every_causal_edge_exactly_once(component, memory_bytes):
    runs = family_runs("gpt2")
    sweep = Sweep(*runs.arguments, METRIC, component=component, memory_bytes=memory_bytes)
    pieces = list(sweep.run())
    edges = edges_of(pieces)
    assert len(edges) == len(set(edges)) == sweep.n_edges
    assert set(edges) == all_edges(runs)
    assert [piece.index for piece in pieces] == list(range(sweep.n_pieces))
    assert all(piece.edges.dtype == np.int64 and piece.edges.shape[1] == 4 for piece in pieces)


def test_the_shares_of_the_pieces_are_those_of_their_operations_and_make_a_whole():
    sweep = Sweep(*family_runs("gpt2").arguments, METRIC, memory_bytes=TIGHT)
    shares, destinations = sweep.shares(), [int(piece.edges[0, 2]) for piece in sweep.run()]
    assert shares.sum() == pytest.approx(1.0, rel=0, abs=1e-12)
    assert shares * sweep.flops() == pytest.approx([sweep.flops(i) for i in range(sweep.n_pieces)])
    # An early destination has more blocks above it.
    assert shares[destinations.index(1)] > shares[destinations.index(2)]


def test_the_shares_of_pieces_of_unknown_work_are_those_of_their_edges(monkeypatch):
    monkeypatch.setattr("analysis.sweep.fast.FastPath.flops", lambda *_: float("nan"))
    sweep = Sweep(*family_runs("gpt2").arguments, METRIC, memory_bytes=TIGHT)
    sizes = np.array([len(piece.edges) for piece in sweep.run()])
    assert sweep.shares() == pytest.approx(sizes / sweep.n_edges)


def test_sources_limit_the_edges():
    runs = family_runs("gpt2")
    sweep = Sweep(*runs.arguments, METRIC, sources=[(0, 3), (1, 0)])
    edges = set(edges_of(sweep.run()))
    assert edges == {edge for edge in all_edges(runs) if edge[:2] in {(0, 3), (1, 0)}}
    assert sweep.n_edges == len(edges) == 12


def test_a_source_in_the_last_layer_leaves_nothing_to_do():
    sweep = Sweep(*family_runs("gpt2").arguments, METRIC, sources=[(2, 0)])
    assert (sweep.n_edges, sweep.n_pieces, list(sweep.run())) == (0, 0, [])


@pytest.mark.parametrize("in_order", [False, True], ids=["by layer", "in order"])
@pytest.mark.parametrize("metric", [METRIC, last_logit_difference], ids=["named", "plain"])
@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "gemma2"])
def test_a_resumed_sweep_equals_an_uninterrupted_one_bit_for_bit(monkeypatch, family, metric, in_order):
    monkeypatch.setattr("analysis.sweep.engine.EDGES_AT_FIRST", 20)
    runs = family_runs(family, torch.float32)
    order = shuffled_edges(runs) if in_order else None
    options: dict[str, Any] = {"component": "k", "memory_bytes": TIGHT, "order": order}
    whole = {piece.index: piece for piece in Sweep(*runs.arguments, metric, **options).run()}
    assert len(whole) >= 4
    first = Sweep(*runs.arguments, metric, **options).run()
    kept = [next(first) for _ in range(len(whole) // 2)]
    rest = list(Sweep(*runs.arguments, metric, **options).run(skip={piece.index for piece in kept}))
    assert sorted(piece.index for piece in kept + rest) == sorted(whole)
    for piece in kept + rest:
        assert np.array_equal(piece.edges, whole[piece.index].edges)
        assert np.array_equal(piece.values, whole[piece.index].values)


def test_a_piece_computed_alone_equals_itself_in_the_whole_sweep():
    runs = family_runs("gpt2", torch.float32)
    sweep = Sweep(*runs.arguments, METRIC, memory_bytes=TIGHT)
    whole = list(sweep.run())
    for piece in whole:
        others = set(range(sweep.n_pieces)) - {piece.index}
        (alone,) = Sweep(*runs.arguments, METRIC, memory_bytes=TIGHT).run(skip=others)
        assert np.array_equal(alone.values, piece.values)


def test_pieces_that_are_skipped_are_not_computed():
    runs = family_runs("gpt2")
    calls: list[None] = []

    def counting(logits):
        calls.append(None)
        return last_logit_difference(logits)

    sweep = Sweep(*runs.arguments, counting, memory_bytes=TIGHT)
    calls.clear()
    rest = list(sweep.run(skip=range(1, sweep.n_pieces)))
    assert len(calls) == sum(len(piece.edges) for piece in rest) < sweep.n_edges


def test_an_order_puts_its_edges_first_and_changes_no_number():
    runs = family_runs("gpt2")
    plain = {
        edge: value
        for piece in Sweep(*runs.arguments, METRIC).run()
        for edge, value in zip(edges_of([piece]), piece.values, strict=True)
    }
    by_effect = sorted(plain, key=lambda edge: -abs(plain[edge]))
    sweep = Sweep(*runs.arguments, METRIC, order=np.array(by_effect), memory_bytes=TIGHT)
    pieces = list(sweep.run())
    assert set(edges_of(pieces)) == set(plain)
    assert by_effect[0] in edges_of(pieces[:1])
    for piece in pieces:
        expected = [plain[edge] for edge in edges_of([piece])]
        assert np.allclose(piece.values, expected, rtol=0, atol=1e-12)
    ranks = [np.mean([by_effect.index(edge) for edge in edges_of([piece])]) for piece in pieces]
    half = len(ranks) // 2
    assert np.mean(ranks[:half]) < np.mean(ranks[half:])


def test_the_first_pieces_hold_what_comes_first_in_the_order_whatever_its_layers(monkeypatch):
    monkeypatch.setattr("analysis.sweep.engine.EDGES_AT_FIRST", 20)
    runs = family_runs("gpt2")
    order = shuffled_edges(runs)
    pieces = list(Sweep(*runs.arguments, METRIC, order=order, memory_bytes=TIGHT).run())
    first = [tuple(edge) for edge in order.tolist()[:20]]
    n_done = 0
    while n_done < 20:
        piece = pieces.pop(0)
        assert set(edges_of([piece])) == set(first[n_done : n_done + len(piece.edges)])
        n_done += len(piece.edges)
    assert n_done == 20 and len({edge[2] for edge in first}) == 2
    assert pieces and all(len(np.unique(piece.edges[:, 2])) == 1 for piece in pieces)


def test_pieces_that_the_model_itself_measures_hold_one_layer_each(monkeypatch):
    monkeypatch.setattr("analysis.sweep.gate.foreign_hooks", lambda model: ("somebody's",))
    runs = family_runs("gpt2")
    order = shuffled_edges(runs)
    sweep = Sweep(*runs.arguments, METRIC, order=order)
    pieces = list(sweep.run(skip=range(2, sweep.n_pieces)))
    assert sweep.engine == "hooks"
    assert tuple(order[0]) in edges_of(pieces[:1])
    assert [len(np.unique(piece.edges[:, 2])) for piece in pieces] == [1, 1]


@pytest.mark.parametrize("family", ["gpt2", "llama-grouped"])
def test_the_operations_of_a_piece_of_several_layers_are_those_of_its_edges(family):
    runs = family_runs(family)
    # So few rows that none enters an MLP from its head's change, which would cost each of them less.
    sweep = Sweep(*runs.arguments, METRIC, order=shuffled_edges(runs), memory_bytes=TIGHT)
    alone = {layer: flops_of_an_edge_into(runs, layer) for layer in (1, 2)}
    assert alone[1] > alone[2] > 0
    for piece in sweep.run():
        expected = sum(alone[layer] for layer in piece.edges[:, 2].tolist())
        assert sweep.flops(piece.index) == pytest.approx(expected)


def flops_of_an_edge_into(runs: Runs, layer: int) -> float:
    """Of a piece that holds one edge, into `layer`."""
    sweep = Sweep(*runs.arguments, METRIC, sources=[(0, 0)], memory_bytes=2**16)
    return next(
        sweep.flops(piece.index) / len(piece.edges) for piece in sweep.run() if piece.edges[0, 2] == layer
    )


def shuffled_edges(runs: Runs) -> np.ndarray:
    """Every edge, in an order that knows no layers."""
    edges = np.array(sorted(all_edges(runs)))
    return edges[np.random.default_rng(0).permutation(len(edges))]


def test_an_order_of_a_few_edges_leaves_the_rest_for_later():
    runs = family_runs("gpt2")
    first = [(1, 3, 2, 1), (0, 2, 1, 0)]
    pieces = list(Sweep(*runs.arguments, METRIC, order=np.array(first), memory_bytes=TIGHT).run())
    edges = edges_of(pieces)
    assert len(edges) == len(set(edges)) and set(edges) == all_edges(runs)
    assert set(first) == set(edges_of(pieces[:1]))


def test_an_order_of_every_edge_serves_a_sweep_of_some_sources_too():
    runs = family_runs("gpt2")
    order = np.array(sorted(all_edges(runs), reverse=True))
    sweep = Sweep(*runs.arguments, METRIC, sources=[(0, 2)], order=order)
    assert sorted(edges_of(sweep.run())) == [edge for edge in sorted(all_edges(runs)) if edge[:2] == (0, 2)]


@pytest.mark.parametrize("order", ["x", [1, 2], [(0, 1, 2)], [(0.5, 1, 2, 0)]], ids=str)
def test_an_order_that_is_no_list_of_edges_is_refused(order: Any):
    with pytest.raises(PathscopeError, match=r"order is .*must be edges.*leave it out"):
        Sweep(*family_runs("gpt2").arguments, METRIC, order=order)


def test_an_edge_or_a_source_that_is_named_twice_is_measured_once():
    runs = family_runs("gpt2")
    order = np.array([(1, 3, 2, 1), (1, 3, 2, 1), (0, 0, 1, 0)])
    edges = edges_of(Sweep(*runs.arguments, METRIC, order=order).run())
    assert len(edges) == len(set(edges)) == len(all_edges(runs))
    assert Sweep(*runs.arguments, METRIC, sources=[(1, 3), (1, 3)]).n_edges == 4


def test_the_same_arguments_cut_the_same_pieces():
    runs = family_runs("gpt2")
    order = np.array(sorted(all_edges(runs), key=lambda edge: (edge[3], edge[0])))
    first, second = (
        list(Sweep(*runs.arguments, METRIC, order=order, memory_bytes=TIGHT).run()) for _ in range(2)
    )
    assert [piece.edges.tolist() for piece in first] == [piece.edges.tolist() for piece in second]


def test_a_sweep_can_run_twice():
    sweep = Sweep(*family_runs("gpt2").arguments, METRIC)
    for one, other in zip(sweep.run(), sweep.run(), strict=True):
        assert np.array_equal(one.values, other.values)


def test_a_stop_before_the_first_piece_yields_nothing():
    sweep = Sweep(*family_runs("gpt2").arguments, METRIC)
    with pytest.raises(Cancelled):
        next(sweep.run(stop=lambda: True))


def test_a_stop_between_pieces_keeps_what_was_yielded():
    runs = family_runs("gpt2")
    sweep = Sweep(*runs.arguments, METRIC, memory_bytes=TIGHT)
    stop = threading.Event()
    pieces = sweep.run(stop=stop.is_set)
    kept = [next(pieces), next(pieces)]
    stop.set()
    with pytest.raises(Cancelled):
        next(pieces)
    assert [piece.index for piece in kept] == [0, 1]
    rest = list(sweep.run(skip={0, 1}))
    assert set(edges_of(kept + rest)) == all_edges(runs)


@pytest.mark.parametrize("metric", [METRIC, last_logit_difference], ids=["named", "plain"])
def test_a_stop_is_asked_for_within_a_piece_too(metric):
    """A piece of a large model takes seconds; waiting for its end would not be stopping."""
    sweep = Sweep(*family_runs("gpt2").arguments, metric, memory_bytes=2**30)
    asked: list[None] = []

    def count() -> bool:
        asked.append(None)
        return False

    pieces = list(sweep.run(stop=count))
    assert len(asked) > len(pieces)


def test_a_sweep_that_is_dropped_leaves_no_hook_behind():
    runs = family_runs("gpt2")
    hooks = [len(module._forward_hooks) for module in runs.model.modules()]
    pieces = Sweep(*runs.arguments, METRIC, memory_bytes=TIGHT).run()
    next(pieces)
    del pieces
    assert [len(module._forward_hooks) for module in runs.model.modules()] == hooks
