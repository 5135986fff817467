"""Sets of edges patched together: identities, and a slow reference by hooks on the model itself."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from analysis import edge_effects, patch_edge_sets, patch_edges, residual_graph
from analysis.edges import Exchange, JointReplay, measured_effects
from analysis.edges.added import AddedReplay
from analysis.errors import PathscopeError, UnsupportedModelError
from analysis.metrics import LogitDifference
from analysis.requests import LAYER_NORM_MODES, LayerNormMode
from tests.circuit.reference import patched_set
from tests.configurations import FAMILIES
from tests.edges.reference import Labels, every_edge, swapped
from tests.reference import FLOAT32_INSIDE_TOLERANCE
from tests.runs import Runs, computed_in_float64, family_runs

METRIC = LogitDifference(7, 11)
#: Of the logits, in float64.
TOLERANCE = 1e-9


def metric_of(runs: Runs, tokens: torch.Tensor) -> float:
    with torch.no_grad():
        return float(METRIC(runs.model(tokens)))


def ours(runs: Runs, edges: list[Labels]) -> float:
    return float(patch_edges(runs.model, runs.corrupted_tokens, runs.clean_tokens, edges, METRIC))


def off_by(runs: Runs) -> float:
    """What a family may be off by: those that drop to float32 inside are compared with themselves."""
    with torch.no_grad():
        scale = float(runs.model(runs.clean_tokens).abs().max())
    return max(TOLERANCE * scale, FLOAT32_INSIDE_TOLERANCE if scale > 0 else 0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_edges_give_the_other_run_and_none_the_run_itself(family: str) -> None:
    for runs in (family_runs(family), swapped(family_runs(family))):
        edges = every_edge(runs)
        tokens = runs.corrupted_tokens, runs.clean_tokens
        none, every = patch_edge_sets(runs.model, *tokens, [[], edges], METRIC).tolist()
        assert none == pytest.approx(metric_of(runs, runs.corrupted_tokens), abs=off_by(runs))
        assert every == pytest.approx(metric_of(runs, runs.clean_tokens), abs=off_by(runs))
        assert abs(every - none) > 100 * off_by(runs)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_edge_is_its_effect(family: str) -> None:
    runs = family_runs(family)
    edges = random.Random(family).sample(every_edge(runs), 40)
    arguments = runs.model, runs.corrupted_tokens, runs.clean_tokens
    alone = edge_effects(*arguments, edges, METRIC)
    found = patch_edge_sets(*arguments, [[], *([edge] for edge in edges)], METRIC)
    np.testing.assert_allclose(found[1:] - found[0], alone, atol=TOLERANCE * float(alone.abs().max()))


@pytest.mark.parametrize("share", [0.05, 0.4])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_set_is_what_hooks_on_the_model_make_of_it(family: str, share: float) -> None:
    runs = computed_in_float64(family)
    edges = every_edge(runs)
    chosen = random.Random(f"{family} {share}").sample(edges, round(share * len(edges)))
    with torch.no_grad():
        theirs = float(METRIC(patched_set(runs, chosen)))
    assert ours(runs, chosen) == pytest.approx(theirs, abs=1e-8)


@pytest.mark.parametrize("share", [0.05, 0.4])
@pytest.mark.parametrize("family", FAMILIES)
def test_added_differences_are_what_hooks_on_the_model_make_of_them(family: str, share: float) -> None:
    """What the random groups of edges are patched with."""
    runs = computed_in_float64(family)
    exchange = Exchange.of(runs.model, runs.corrupted_tokens, runs.clean_tokens, METRIC)
    added, edges = AddedReplay.of(exchange), exchange.graph.edges
    chosen = edges[np.random.default_rng(1).random(len(edges)) < share]
    sets = np.zeros((2, *exchange.graph.exists.shape), dtype=bool)
    sets[1, chosen[:, 0], chosen[:, 1]] = True
    with torch.no_grad():
        theirs = float(METRIC(patched_set(runs, exchange.graph.labels(chosen), constant=True)))
        (nothing, ours), _ = added.measure(sets, lambda: None)
    assert nothing == pytest.approx(metric_of(runs, runs.corrupted_tokens), abs=off_by(runs))
    assert ours == pytest.approx(theirs, abs=1e-8)


@pytest.mark.filterwarnings("ignore:.*norm:UserWarning")
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_one_edge_added_is_its_effect_with_either_norm(
    family: str, layer_norm: LayerNormMode, folded: bool
) -> None:
    runs = family_runs(family, folded=folded)
    tokens = runs.corrupted_tokens, runs.clean_tokens
    exchange = Exchange.of(runs.model, *tokens, METRIC, layer_norm=layer_norm)
    added, every = AddedReplay.of(exchange), exchange.graph.edges
    edges = every[np.random.default_rng(2).choice(len(every), 40, replace=False)]
    alone = measured_effects(exchange, edges)
    sets = np.zeros((len(edges), *exchange.graph.exists.shape), dtype=bool)
    sets[np.arange(len(edges)), edges[:, 0], edges[:, 1]] = True
    found, _ = added.measure(sets, lambda: None)
    assert exchange.replay is not None
    off = TOLERANCE * float(np.abs(alone).max())
    np.testing.assert_allclose(found - exchange.replay.baseline, alone, atol=off)


@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "gemma2", "pythia"])
def test_a_chain_counts_a_change_once(family: str) -> None:
    """a -> b -> c and a -> c: constant differences would count at c what has come through b twice."""
    runs = computed_in_float64(family)
    chain = [("embed", "MLP0"), ("MLP0", "MLP1"), ("embed", "MLP1"), ("MLP1", "L2H0.v"), ("L2H0", "logits")]
    chain += [("MLP0", "L2H0.v"), ("MLP1", "logits")]
    with torch.no_grad():
        theirs, twice = (float(METRIC(patched_set(runs, chain, constant=c))) for c in (False, True))
    assert ours(runs, chain) == pytest.approx(theirs, abs=1e-8)
    assert abs(twice - theirs) > 1e-5


def test_a_batch_of_prompts_is_the_mean_of_its_prompts() -> None:
    runs = family_runs("llama-grouped")
    chosen = random.Random(0).sample(every_edge(runs), 60)
    alone = [
        float(patch_edges(runs.model, runs.corrupted_tokens[[i]], runs.clean_tokens[[i]], chosen, METRIC))
        for i in range(2)
    ]
    assert ours(runs, chosen) == pytest.approx(np.mean(alone), abs=1e-10)


def test_little_memory_changes_nothing() -> None:
    runs = family_runs("gpt2")
    edges = every_edge(runs)
    sets = [random.Random(i).sample(edges, 30) for i in range(20)]
    arguments = runs.model, runs.corrupted_tokens, runs.clean_tokens, sets, METRIC
    torch.testing.assert_close(
        patch_edge_sets(*arguments), patch_edge_sets(*arguments, memory_bytes=2**20), atol=1e-12, rtol=0
    )


def test_the_gradient_is_that_of_a_small_change_of_one_share() -> None:
    """Against single edges added to a set and taken out of it: the mean of both slopes is nearly it."""
    runs = family_runs("pythia")
    exchange = Exchange.of(runs.model, runs.corrupted_tokens, runs.clean_tokens, METRIC)
    graph, joint = exchange.graph, JointReplay.of(exchange)
    every = np.ones_like(graph.exists) & graph.exists
    gradient = joint.gradient(np.zeros_like(every), lambda: None)
    into_logits = graph.index([(writer, "logits") for writer in graph.writers])
    labels = graph.labels(into_logits)
    alone = edge_effects(runs.model, runs.corrupted_tokens, runs.clean_tokens, labels, METRIC)
    slopes = gradient[tuple(into_logits.T)]
    assert np.corrcoef(slopes, alone)[0, 1] > 0.9 and not gradient[~graph.exists].any()
    assert np.abs(slopes - alone.numpy()).max() < 0.5 * float(alone.abs().max())


def test_labels_are_those_of_the_graph() -> None:
    runs = family_runs("gpt2")
    assert [*residual_graph(runs.model).writers[:2]] == ["embed", "L0H0"]
    with pytest.raises(PathscopeError, match="L9H9"):
        ours(runs, [("L9H9", "logits")])
    with pytest.raises(PathscopeError, match=r"no path from L2H0 to L0H0\.q"):
        ours(runs, [("L2H0", "L0H0.q")])


def test_beside_hooks_and_without_a_replay_it_is_refused() -> None:
    runs = family_runs("gpt2")
    with (
        runs.model.hooks([("blocks.1.hook_mlp_out", lambda value, hook: 0 * value)]),
        pytest.raises(UnsupportedModelError, match="reset_hooks"),
    ):
        ours(runs, [("embed", "logits")])
    with pytest.raises(UnsupportedModelError, match="does not reproduce"):
        ours(family_runs("bloom"), [("embed", "logits")])
