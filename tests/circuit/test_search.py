"""The search for a small faithful circuit: a model whose circuit is known, and what every answer keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis import circuit_scores, find_circuit
from analysis.circuit.pair import Pair, ranked, top_sets
from analysis.circuit.search import search
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import Cancelled, PathscopeError
from analysis.metrics import LogitDifference
from tests.edges.test_strongest import bundled
from tests.induction import answer_over_foil, induction_runs
from tests.runs import family_runs

METRIC = LogitDifference(7, 11)
#: How the hand-set model works: the changed token is noted one position later, matched, and copied.
TRUE_CIRCUIT = {("embed", "L0H2.v"), ("L0H2", "L1H3.k"), ("L1H3", "logits")}


def test_the_circuit_of_a_model_set_by_hand_is_found_and_nothing_else() -> None:
    runs = induction_runs(torch.float64)
    found = find_circuit(runs.model, runs.clean_tokens, runs.corrupted_tokens, answer_over_foil, 0.99)
    assert set(found.labels) == TRUE_CIRCUIT and found.reached


@pytest.mark.parametrize("missing", sorted(TRUE_CIRCUIT))
def test_every_edge_of_that_circuit_matters(missing: tuple[str, str]) -> None:
    runs = induction_runs(torch.float64)
    arguments = runs.model, runs.clean_tokens, runs.corrupted_tokens, answer_over_foil
    whole = circuit_scores(*arguments, TRUE_CIRCUIT, 0)
    without = circuit_scores(*arguments, TRUE_CIRCUIT - {missing}, 0)
    assert whole.faithfulness == pytest.approx(1.0, abs=1e-6)
    assert without.faithfulness < 0.1


@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "phi", "gemma2"])
def test_every_answer_on_the_way_holds_and_none_is_larger(family: str) -> None:
    runs = family_runs(family)
    arguments = runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC
    pair = Pair.of(*arguments)
    states = list(search(pair, 0.8))
    for state in states:
        assert state.reached and state.faithfulness >= 0.8
        assert state.faithfulness == pytest.approx(circuit_scores(*arguments, state.labels, 0).faithfulness)
    assert [len(state) for state in states] == sorted((len(state) for state in states), reverse=True)
    total = len(pair.graph)
    ranking = ranked(pair.graph, abs(pair.estimates()))
    sizes = list(range(1, total + 1, max(1, total // 60)))
    first = next(
        s
        for s, f in zip(sizes, pair.faithfulness(top_sets(pair.graph, ranking, sizes)), strict=True)
        if f >= 0.8
    )
    assert len(states[-1]) <= first


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_a_search_that_goes_on_finds_what_one_without_a_break_finds(rounds: int) -> None:
    runs = family_runs("llama-grouped")
    pair = Pair.of(runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC)
    whole = [state.edges.tolist() for state in search(pair, 0.8)]
    before = [np.array(edges) for edges in whole[:rounds]]
    rest = [state.edges.tolist() for state in search(pair, 0.8, before=before)]
    assert whole[:rounds] + rest == whole and len(whole) > rounds


def test_no_single_edge_of_the_answer_can_be_spared() -> None:
    runs = family_runs("llama-grouped")
    arguments = runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC
    found = find_circuit(*arguments, 0.8)
    for spared in found.labels:
        rest = [edge for edge in found.labels if edge != spared]
        assert circuit_scores(*arguments, rest, 0).faithfulness < 0.8


def test_a_ready_example() -> None:
    example, model = EXAMPLES[0], bundled()
    metric = LogitDifference(model.to_single_token(example.answer), model.to_single_token(example.foil))
    found = find_circuit(model, model.to_tokens(example.clean), model.to_tokens(example.corrupted), metric)
    assert found.reached and len(found) <= 40


@pytest.mark.parametrize("asked", [0.0, -1, 1.5, float("nan")])
def test_a_faithfulness_that_cannot_be(asked: float) -> None:
    runs = family_runs("gpt2")
    with pytest.raises(PathscopeError, match="faithfulness is"):
        find_circuit(runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC, asked)


def test_it_can_be_stopped() -> None:
    runs = family_runs("gpt2")

    def stop() -> None:
        raise Cancelled("enough")

    pair = Pair.of(runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC)
    with pytest.raises(Cancelled):
        list(search(pair, 0.9, stop))
