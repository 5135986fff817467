"""Every kind of edge, of every family that the replay knows, against the slow reference."""

from __future__ import annotations

import random
from functools import partial

import pytest
import torch

from analysis.edges import edge_effects, residual_graph
from analysis.errors import PathscopeError, UnsupportedModelError
from analysis.metrics import AnswerProbability, KLFromClean, LogitDifference
from analysis.requests import LAYER_NORM_MODES
from analysis.sweep import Sweep
from tests.configurations import EVERY_FAMILY, FAMILIES
from tests.edges.reference import (
    every_edge,
    reader_kind,
    sampled_labels,
    swapped,
    true_effects,
    writer_kind,
    written_difference,
)
from tests.reference import FLOAT64_TOLERANCE
from tests.runs import (
    KeepFloat64,
    Runs,
    computed_in_float64,
    family_runs,
    last_logit_difference,
    run_pair,
)
from tests.sweep.support import limit_of, models_of_this_release

_OTHERS = [family for family in EVERY_FAMILY if family not in FAMILIES]
BETWEEN_HEADS = [("L0H1", "L1H0.q"), ("L0H0", "L2H1.k"), ("L1H1", "L2H0.v")]
quiet = pytest.mark.filterwarnings(
    "ignore:.*ArchitectureAdapter does not support:UserWarning",
    "ignore:Block . scales what its norm gives out:UserWarning",
)


def found_effects(runs: Runs, edges, metric=last_logit_difference, layer_norm="exact", **options):
    with KeepFloat64():
        tokens = runs.corrupted_tokens, runs.clean_tokens
        return edge_effects(runs.model, *tokens, edges, metric, layer_norm=layer_norm, **options)


def assert_right(runs: Runs, edges, metric=last_logit_difference, layer_norm="exact", **options) -> None:
    true = true_effects(runs, edges, metric, layer_norm)
    found = found_effects(runs, edges, metric, layer_norm, **options)
    assert found.dtype == torch.float64
    assert (found - true).abs().max() <= limit_of(runs) * true.abs().max()
    assert true.abs().max() > 1e-6


def everything(logits: torch.Tensor) -> torch.Tensor:
    """A metric that reads every logit of every position, and is not linear in them."""
    places = torch.arange(1, logits.shape[1] + 1, dtype=logits.dtype)
    return (logits.logsumexp(-1).square() * places).mean()


def metrics_of(runs: Runs) -> dict[str, object]:
    with torch.no_grad(), KeepFloat64():
        clean = runs.model(runs.clean_tokens)[:, -1]
    return {
        "a difference each": LogitDifference(answer=[7, 9], foil=[11, 3]),
        "probability": AnswerProbability(answer=7),
        "divergence": KLFromClean(clean_logits=clean),
        "an earlier position": LogitDifference(answer=7, foil=11, position=-3),
        "everything": everything,
    }


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_of_edge_equals_the_reference(family, layer_norm):
    runs = computed_in_float64(family)
    edges = sampled_labels(runs, family + layer_norm, each=2)
    kinds = {(writer_kind(writer), reader_kind(reader)) for writer, reader in edges}
    assert len(kinds) == 15
    assert_right(runs, edges, layer_norm=layer_norm)


@quiet
@pytest.mark.parametrize("family", _OTHERS)
def test_every_other_family_is_right_or_refused(family):
    runs = models_of_this_release()[family]()
    try:
        engine = Sweep(*runs.arguments, last_logit_difference).engine
    except PathscopeError:
        with pytest.raises(PathscopeError):
            found_effects(runs, [("L0H0", "L1H0.q")])
        return
    for layer_norm in LAYER_NORM_MODES:
        replayed = sampled_labels(runs, family + layer_norm, each=1) if engine == "replay" else ()
        assert_right(runs, [*BETWEEN_HEADS, *replayed], layer_norm=layer_norm)
    if engine != "replay":
        for edge in (("MLP0", "L1H0.v"), ("L0H1", "logits")):
            with pytest.raises(UnsupportedModelError, match=rf"{edge[0]} -> {edge[1]} .*Paths between heads"):
                found_effects(runs, [*BETWEEN_HEADS, edge])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_holds_every_pair_of_a_writer_and_a_later_reader(family):
    runs = computed_in_float64(family)
    graph = residual_graph(runs.model)
    assert sorted(graph.labels(graph.edges)) == sorted(every_edge(runs))


def test_all_edges_at_once_equal_the_reference():
    runs = computed_in_float64("gpt2")
    edges = every_edge(runs)
    random.Random(0).shuffle(edges)
    found, checked = found_effects(runs, edges), slice(None, None, 4)
    true = true_effects(runs, edges[checked], last_logit_difference, "exact")
    assert (found[checked] - true).abs().max() <= FLOAT64_TOLERANCE * true.abs().max()


@pytest.mark.parametrize("name", ["a difference each", "probability", "divergence", "everything"])
@pytest.mark.parametrize("family", ["gpt-neo", "pythia", "llama-grouped", "gemma2"])
def test_every_metric_is_right_in_both_directions(family, name):
    runs = computed_in_float64(family)
    for direction in (runs, swapped(runs)):
        metric = metrics_of(direction)[name]
        assert_right(direction, sampled_labels(runs, family, each=1), metric)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
def test_a_metric_of_an_earlier_position_hears_what_comes_before_it_only(layer_norm):
    runs = computed_in_float64("llama-grouped")
    edges = sampled_labels(runs, "early", each=1)
    assert_right(runs, edges, metrics_of(runs)["an earlier position"], layer_norm)
    too_early = LogitDifference(answer=7, foil=11, position=3)
    assert not found_effects(runs, edges, too_early, layer_norm).any()


@pytest.mark.parametrize("differ", [[(0, 0), (1, 8)], [(0, 5)], [(1, 1), (1, 2), (0, 7)]], ids=str)
@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_each_prompt_of_a_batch_may_differ_elsewhere_or_nowhere(family, differ):
    runs = computed_in_float64(family)
    other = runs.clean_tokens.clone()
    for prompt, position in differ:
        other[prompt, position] = 1 + (other[prompt, position] + 77) % 300
    runs = run_pair(runs.model, runs.clean_tokens, other)
    for layer_norm in LAYER_NORM_MODES:
        assert_right(runs, sampled_labels(runs, str(differ), each=1), layer_norm=layer_norm)


@pytest.mark.filterwarnings("ignore:.*not folded:UserWarning")
@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("family", ["gpt2", "pythia", "phi", "gemma"])
def test_norm_weights_that_are_not_folded_stand_before_mlps_and_logits(family, layer_norm):
    runs = computed_in_float64(family, folded=False)
    edges = [edge for edge in sampled_labels(runs, family, each=2) if reader_kind(edge[1]) not in "qkv"]
    assert_right(runs, edges, layer_norm=layer_norm)


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_float32_agrees_within_its_rounding(family):
    runs = family_runs(family, torch.float32)
    edges = sampled_labels(runs, "float32", each=2)
    true = true_effects(runs, edges, last_logit_difference, "exact")
    tokens = runs.corrupted_tokens, runs.clean_tokens
    found = edge_effects(runs.model, *tokens, edges, last_logit_difference)
    assert (found - true).abs().max() <= 5e-6


def test_an_edge_is_the_same_alone_in_any_company_and_in_small_pieces():
    runs = computed_in_float64("llama-grouped")
    edges = sampled_labels(runs, "company", each=1)
    together = found_effects(runs, edges)
    alone = torch.cat([found_effects(runs, [edge]) for edge in edges])
    again = found_effects(runs, [*edges[::-1], *edges])
    limit = 1e-13 * together.abs().max()
    assert (together - alone).abs().max() <= limit
    assert (again - torch.cat([together.flip(0), together])).abs().max() <= limit
    assert (found_effects(runs, edges, memory_bytes=2**18) - together).abs().max() <= limit
    assert found_effects(runs, []).shape == (0,)


@quiet
@pytest.mark.parametrize("family", [*FAMILIES, "granite", "gemma3", "stablelm in parallel"])
def test_the_writes_of_the_reference_make_up_the_stream(family):
    """Each write is read where the model adds it, so that together they are all that differs."""
    runs = models_of_this_release()[family]()
    writers = {writer for writer, _ in every_edge(runs)}
    stream = runs.clean_cache["ln_final.hook_in"] - runs.corrupted_cache["ln_final.hook_in"]
    summed = sum(map(partial(written_difference, runs), writers))
    assert (summed - stream).abs().max() <= 1e-12 * stream.abs().max()


def test_nothing_stays_on_the_model_and_no_gradient_is_made():
    runs = family_runs("gpt2", torch.float64)
    model = runs.model
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    assert not found_effects(runs, sampled_labels(runs, "clean", each=1)).requires_grad
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()] == hooks
    assert all(parameter.grad is None for parameter in model.parameters())
