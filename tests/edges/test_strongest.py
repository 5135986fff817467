"""The strongest edges against a plain sort of all effects, and the bound on the others against all."""

from __future__ import annotations

import random
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from analysis.demo_model import words
from analysis.demo_model.examples import EXAMPLES
from analysis.edges import (
    Exchange,
    StrongestEdges,
    estimated_effects,
    measured_effects,
    strongest_edges,
    strongest_in_steps,
)
from analysis.edges import groups as groups_room
from analysis.edges.added import AddedReplay
from analysis.edges.groups import GroupTest, groups_needed
from analysis.errors import Cancelled, PathscopeError
from analysis.metrics import LogitDifference
from analysis.models import DEMO, catalogue
from tests.runs import family_runs

LAST_DIFFERENCE = LogitDifference(7, 11)


@lru_cache(maxsize=1)
def bundled() -> Any:
    return catalogue.load(DEMO).bridge


@lru_cache(maxsize=64)
def exchange_of(clean: str, corrupted: str, answer: str, foil: str) -> Exchange:
    """The corrupted run of the bundled model, in which edges may carry the clean one."""
    model = bundled()
    metric = LogitDifference(model.to_single_token(answer), model.to_single_token(foil))
    return Exchange.of(model, model.to_tokens(corrupted), model.to_tokens(clean), metric)


def example(number: int = 0) -> Exchange:
    chosen = EXAMPLES[number]
    return exchange_of(chosen.clean, chosen.corrupted, chosen.answer, chosen.foil)


def named(seed: int) -> Exchange:
    """Indirect object identification with two random names."""
    one, two = random.Random(seed).sample(words.NAMES, 2)
    sentence = f"When {one} and {two} went to the store, {{}} gave a drink to"
    return exchange_of(sentence.format(two), sentence.format(one), f" {one}", f" {two}")


@torch.no_grad()
def all_effects(exchange: Exchange) -> np.ndarray:
    return measured_effects(exchange, exchange.graph.edges)


def last_state(exchange: Exchange, **arguments: Any) -> StrongestEdges:
    with torch.no_grad():
        *_, last = strongest_in_steps(exchange, **arguments)
    return last


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_they_are_the_strongest_of_all(number: int) -> None:
    exchange = example(number)
    found, effects = last_state(exchange), all_effects(exchange)
    assert found.proved and found.n_measured < found.n_edges == len(exchange.graph)
    strongest = np.argsort(-np.abs(effects), kind="stable")[:20]
    assert {tuple(edge) for edge in found.edges} == {tuple(edge) for edge in exchange.graph.edges[strongest]}
    np.testing.assert_allclose(found.effects, effects[strongest], atol=1e-4)


@pytest.mark.slow
def test_the_bound_holds_over_many_prompts() -> None:
    """With 95 % confidence, so for 19 in 20; calibrated on edges that the ranking has not touched."""
    held = []
    for seed in range(24):
        exchange = named(seed)
        edges, effects = exchange.graph.edges, all_effects(exchange)
        with torch.no_grad():
            estimates = estimated_effects(exchange)[tuple(edges.T)]
        order = np.argsort(-np.abs(estimates), kind="stable")
        left = order[60:]
        groups = group_test(exchange, edges[left], estimates[left], seed)
        misses = np.abs(effects - estimates)[left]
        held.append(misses.max() <= groups.band(np.empty(0, int), np.empty(0)))
    assert np.mean(held) >= 0.95


@torch.no_grad()
def group_test(exchange: Exchange, edges: np.ndarray, estimates: np.ndarray, seed: int = 0) -> GroupTest:
    groups = GroupTest(AddedReplay.of(exchange), edges, estimates, 0.95, 6, seed)
    done = list(groups.run(lambda: None))
    assert done[-1] == groups.n_sets == 6 * groups.n_groups
    return groups


@pytest.mark.parametrize("seed", range(3))
def test_an_edge_that_its_estimate_hides_is_within_the_bound(seed: int) -> None:
    """The strongest edge is told to be nothing; the groups that hold it give it away."""
    exchange = example()
    edges, effects = exchange.graph.edges, all_effects(exchange)
    strongest = int(np.abs(effects).argmax())
    hidden = effects.copy()
    hidden[strongest] = 0.0
    weak = np.abs(hidden) < 0.05
    band = group_test(exchange, edges[weak], hidden[weak], seed).band(np.empty(0, int), np.empty(0))
    assert band >= abs(effects[strongest])
    honest = group_test(exchange, edges[weak], effects[weak], seed).band(np.empty(0, int), np.empty(0))
    assert honest < abs(effects[strongest])


def test_what_has_been_measured_since_is_taken_out_of_its_groups() -> None:
    exchange = example()
    edges, effects = exchange.graph.edges, all_effects(exchange)
    strongest = int(np.abs(effects).argmax())
    weak = np.abs(effects) < 0.05
    weak[strongest] = True
    hidden = np.where(np.arange(len(effects)) == strongest, 0.0, effects)
    groups = group_test(exchange, edges[weak], hidden[weak])
    row = np.array([int(weak[:strongest].sum())])
    after = groups.band(row, effects[[strongest]] - hidden[[strongest]])
    assert after < abs(effects[strongest]) <= groups.band(np.empty(0, int), np.empty(0))


@pytest.mark.parametrize("miss", [1.0, -1.0])
@pytest.mark.parametrize("divisions", [1, 2])
def test_a_miss_hides_once_in_as_many_times_as_there_are_groups(
    monkeypatch, divisions: int, miss: float
) -> None:
    """In each division independently, whatever its sign: what the number of groups is reckoned from."""
    n_edges, n_groups, times = 120, 4, 1000
    monkeypatch.setattr(groups_room, "groups_needed", lambda *_: n_groups)
    edges = np.stack([np.arange(n_edges), np.zeros(n_edges, int)], axis=1)
    hidden = 0
    for seed in range(times):
        misses = np.random.default_rng(10_000 + seed).normal(scale=0.02, size=n_edges)
        misses[0] = miss
        added: Any = SimpleNamespace(
            graph=SimpleNamespace(exists=np.ones((n_edges, 1), dtype=bool)),
            replay=SimpleNamespace(baseline=0.0),
            in_batches=lambda sets: [slice(0, len(sets))],
            measure=lambda sets, _check_stop, misses=misses: (sets[:, :, 0] @ misses, None),
        )
        groups = GroupTest(added, edges, np.zeros(n_edges), 0.95, divisions, seed)
        list(groups.run(lambda: None))
        hidden += groups.band(np.empty(0, int), np.empty(0)) < 1.0
    assert hidden / times == pytest.approx(n_groups**-divisions, abs=0.04)


def test_more_edges_and_more_confidence_take_more_groups() -> None:
    few, many, surer = (
        groups_needed(1000, 0.95, 4),
        groups_needed(10**5, 0.95, 4),
        groups_needed(10**5, 0.999, 4),
    )
    assert few < many < surer
    for divisions in (2, 4, 8):  # N / groups ** divisions is the doubt that is left
        assert 10**5 / groups_needed(10**5, 0.95, divisions) ** divisions <= 0.05


def test_every_state_on_the_way_is_true() -> None:
    exchange = example(1)
    effects = dict(zip(map(tuple, exchange.graph.edges.tolist()), all_effects(exchange), strict=True))
    measured = 0
    with torch.no_grad():
        for state in strongest_in_steps(exchange, 10):
            assert measured <= state.n_measured
            measured = state.n_measured
            for edge, effect in zip(map(tuple, state.edges.tolist()), state.effects, strict=True):
                assert effect == pytest.approx(effects[edge], abs=1e-4)
            assert np.all(np.diff(np.abs(state.effects)) <= 0)
            if state.proved:
                assert sorted(map(abs, effects.values()))[-10] == pytest.approx(
                    abs(state.effects[-1]), abs=1e-4
                )


def test_only_the_edges_that_are_asked_for() -> None:
    exchange = example()
    among = exchange.graph.heads_into("q")
    found = last_state(exchange, k=5, among=among)
    assert found.n_edges == among.sum() and all(among[tuple(edge)] for edge in found.edges)
    assert all(reader.endswith(".q") for _, reader in found.labels)


@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "phi", "gemma2"])
def test_other_families_from_tokens(family: str) -> None:
    runs = family_runs(family)
    found = strongest_edges(runs.model, runs.corrupted_tokens, runs.clean_tokens, LAST_DIFFERENCE, 8)
    exchange = Exchange.of(runs.model, runs.corrupted_tokens, runs.clean_tokens, LAST_DIFFERENCE)
    sizes = np.sort(np.abs(all_effects(exchange)))[::-1]
    np.testing.assert_allclose(np.abs(found.effects), sizes[:8], rtol=1e-9, atol=1e-12)
    assert found.proved


def test_a_metric_without_a_gradient_is_measured_edge_by_edge() -> None:
    runs = family_runs("gpt2")

    def without(logits: torch.Tensor) -> float:
        return float(logits[:, -1, 7].mean() - logits[:, -1, 11].mean())

    arguments = runs.model, runs.corrupted_tokens, runs.clean_tokens
    found = strongest_edges(*arguments, without, 8)
    with_gradient = strongest_edges(*arguments, LAST_DIFFERENCE, 8)
    assert found.n_measured == found.n_edges and found.proved and not found.estimated
    np.testing.assert_allclose(found.effects, with_gradient.effects, rtol=1e-9)
    with torch.no_grad():
        first = next(strongest_in_steps(Exchange.of(*arguments, without), 8))
    assert "no gradient" in first.sentence()


def test_equal_prompts_have_no_effects_and_prove_it() -> None:
    runs = family_runs("gpt2")
    found = strongest_edges(runs.model, runs.clean_tokens, runs.clean_tokens, LAST_DIFFERENCE, 3)
    assert found.proved and not found.effects.any() and found.bound == 0.0


def test_more_than_there_are_is_all_of_them() -> None:
    exchange = example()
    among = exchange.graph.heads_into("q")
    found = last_state(exchange, k=10_000, among=among)
    assert len(found.edges) == found.n_measured == among.sum()
    assert found.sentence() == f"All {among.sum():,} paths are measured exactly."


def test_the_sentence_says_what_is_known() -> None:
    exchange = example()
    with torch.no_grad():
        states = list(strongest_in_steps(exchange))
    assert (
        states[0].sentence().startswith("0 of 1,519 paths are measured exactly, strongest estimates first.")
    )
    last = states[-1]
    assert last.sentence() == (
        f"The 20 strongest of 1,519 paths are measured exactly; with 95% confidence no other exceeds "
        f"{last.bound:.2g} logits."
    )


@pytest.mark.parametrize(
    ("arguments", "named_in_it"),
    [({"k": 0}, "k is 0"), ({"k": True}, "k is True"), ({"k": 2.5}, "k is 2.5")]
    + [({"confidence": bad}, f"confidence is {bad}") for bad in (0.0, 1.0, 2, float("nan"))],
)
def test_what_cannot_be_asked(arguments: dict[str, Any], named_in_it: str) -> None:
    with pytest.raises(PathscopeError, match=named_in_it):
        last_state(example(), **arguments)


def test_it_can_be_stopped() -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        last_state(example(), check_stop=stop)
