"""What must hold of effects of edges without any reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from analysis import (
    direct_logit_attribution,
    get_act_patch_direct_path,
    get_act_patch_direct_path_all_sources,
)
from analysis.edges import Exchange, edge_effects, edge_estimates, residual_graph
from analysis.metrics import KLFromClean, LogitDifference
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES
from analysis.sweep.writes import run_activations
from tests.edges.reference import every_edge, swapped
from tests.runs import (
    KeepFloat64,
    Runs,
    causal,
    computed_in_float64,
    family_model,
    family_runs,
    last_logit_difference,
    random_prompts,
    run_pair,
)

ANSWER, FOIL = 7, 11


def effects(runs: Runs, edges, metric=last_logit_difference, layer_norm="exact") -> torch.Tensor:
    with KeepFloat64():
        tokens = runs.corrupted_tokens, runs.clean_tokens
        return edge_effects(runs.model, *tokens, edges, metric, layer_norm=layer_norm)


def attributed(runs: Runs, unit: str) -> dict[str, torch.Tensor]:
    """What attribution gives each writer of the graph in either run, at its own final scale [run, prompt]."""
    with KeepFloat64():
        parts = [
            direct_logit_attribution(runs.model, tokens, ANSWER, FOIL, unit=unit)
            for tokens in (runs.clean_tokens, runs.corrupted_tokens)
        ]
    found = {
        label: torch.stack([part.attribution[row] for part in parts])
        for row, label in enumerate(parts[0].labels)
    }
    if unit == "component":
        layers = range(runs.model.cfg.n_layers)
        names = {f"MLP{layer}": f"{layer}_mlp_out" for layer in layers}
        embedding = sum((found[label] for label in ("embed", "pos_embed") if label in found), torch.zeros(()))
        return {"embed": embedding} | {writer: found[label] for writer, label in names.items()}
    heads = {writer for writer, reader in every_edge(runs) if writer[0] == "L" and reader == "logits"}
    return {label: value for label, value in found.items() if label in heads}


@pytest.mark.parametrize("unit", ["component", "head"])
@pytest.mark.parametrize("family", ["gpt2", "gpt-neo", "pythia", "llama-grouped", "gemma", "gemma3"])
def test_a_frozen_edge_into_the_logits_is_what_attribution_gives_its_writer_at_this_runs_scale(family, unit):
    """(write clean - write corrupted) / scale corrupted @ (W_U[answer] - W_U[foil]), over prompts the mean.

    Attribution divides each run's write by that run's own scale, so the clean one is put on the other.
    """
    model = computed_in_float64(family).model
    runs = run_pair(model, *random_prompts(2, (4, 8), 9))
    scales = [run["ln_final.hook_scale"][:, -1, 0] for run in (runs.clean_cache, runs.corrupted_cache)]
    given = attributed(runs, unit)
    assert len(given) == (4 if unit == "component" else 12)
    expected = {
        writer: (clean * scales[0] / scales[1] - own).mean() for writer, (clean, own) in given.items()
    }
    found = effects(runs, [(writer, "logits") for writer in given], LogitDifference(ANSWER, FOIL), "frozen")
    assert (found - torch.stack([*expected.values()])).abs().max() <= 1e-12 * found.abs().max()
    assert found.abs().min() > 0.0


@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama-grouped", "gemma3"])
def test_all_frozen_edges_into_the_logits_together_are_the_streams_difference_at_this_runs_scale(family):
    """What the writers say to the logits adds up, as the stream does; biases say nothing."""
    runs = computed_in_float64(family)
    model = runs.model
    streams = [run["ln_final.hook_in"][:, -1] for run in (runs.clean_cache, runs.corrupted_cache)]
    delta = streams[0] - streams[1]
    if "LN" in model.cfg.normalization_type:
        delta = delta - delta.mean(-1, keepdim=True)
    direction = model.W_U[:, ANSWER] - model.W_U[:, FOIL]
    scale = runs.corrupted_cache["ln_final.hook_scale"][:, -1]
    edges = [edge for edge in every_edge(runs) if edge[1] == "logits"]
    found = effects(runs, edges, layer_norm="frozen")
    assert abs(found.sum() - (delta / scale @ direction).mean()) <= 1e-11


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
def test_an_edge_from_a_writer_that_writes_the_same_has_no_effect_at_all(layer_norm):
    model = family_model.__wrapped__("gpt2")
    with torch.no_grad():
        model.blocks[0].attn.v.original_component.weight[1 * 8 : 2 * 8] = 0.0  # the values of the second head
        model.blocks[1].mlp.out.original_component.weight[:] = 0.0  # what is left is its bias
    runs = run_pair(model, *random_prompts(2, (4, 6), 9))
    mute = {"L0H1", "MLP1"}
    found = effects(runs, every_edge(runs), layer_norm=layer_norm)
    of_mute = torch.tensor([writer in mute for writer, _ in every_edge(runs)])
    assert not found[of_mute].any()
    assert found[~of_mute].abs().max() > 1e-3
    graph = residual_graph(model)
    estimates = edge_estimates(
        model, runs.corrupted_tokens, runs.clean_tokens, last_logit_difference, layer_norm=layer_norm
    )
    for writer in mute:
        row = estimates[graph.writers.index(writer)]
        assert not row[torch.from_numpy(graph.exists[graph.writers.index(writer)])].any()


@pytest.mark.parametrize("family", ["gpt2", "phi", "gemma2"])
def test_equal_prompts_have_no_effects_and_no_estimates(family):
    runs = computed_in_float64(family)
    same = replace(runs, clean_tokens=runs.corrupted_tokens, clean_cache=runs.corrupted_cache)
    graph = residual_graph(runs.model)
    zeros = torch.zeros(len(graph), dtype=torch.float64)
    for layer_norm in LAYER_NORM_MODES:
        assert torch.equal(effects(same, every_edge(runs), layer_norm=layer_norm), zeros)
        with KeepFloat64():
            tokens = same.corrupted_tokens, same.clean_tokens
            found = edge_estimates(
                runs.model, *tokens, last_logit_difference, layer_norm=layer_norm, points=3
            )
        assert torch.equal(found[torch.from_numpy(graph.exists)], zeros)


def test_what_changes_after_the_position_that_the_metric_reads_has_no_effect():
    runs = family_runs("gpt2", differences=(7, 8))
    metric = LogitDifference(ANSWER, FOIL, position=6)
    assert not effects(runs, every_edge(runs), metric).any()
    tokens = runs.corrupted_tokens, runs.clean_tokens
    assert not edge_estimates(runs.model, *tokens, metric).nan_to_num().any()


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama-grouped", "gemma2"])
def test_from_head_to_head_it_is_direct_path_patching(family, component, layer_norm):
    runs = computed_in_float64(family)
    with KeepFloat64():
        values = get_act_patch_direct_path_all_sources(
            *runs.arguments, last_logit_difference, component, verbose=False, layer_norm=layer_norm
        )
        with torch.no_grad():
            unpatched = last_logit_difference(runs.model(runs.corrupted_tokens))
    paths = causal(runs).nonzero()
    labels = [(f"L{a}H{b}", f"L{c}H{d}.{component}") for a, b, c, d in paths.tolist()]
    found = effects(runs, labels, layer_norm=layer_norm)
    true = values[tuple(paths.T)] - unpatched
    assert (found - true).abs().max() <= 1e-12
    assert true.abs().max() > 1e-3


def as_replayed(runs: Runs) -> tuple[Runs, float]:
    """The same with the activations of the engine's own runs for caches; its metric with nothing patched."""
    with KeepFloat64():
        tokens = runs.corrupted_tokens, runs.clean_tokens
        exchange = Exchange.of(runs.model, *tokens, last_logit_difference)
        replay, other = exchange.required_replay("comparison"), exchange.other.run
    assert other is not None
    clean, corrupted = (run_activations(replay.decoder, run) for run in (other, replay.run))
    return replace(runs, clean_cache=clean, corrupted_cache=corrupted), replay.baseline


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama-grouped", "gemma2"])
def test_of_the_same_runs_it_is_direct_path_patching_bit_for_bit(family, component, layer_norm):
    """Where both are given the same activations, and the same paths at once: those into one layer.

    Edges are measured from the engine's own runs, direct paths from the caches that they are given. Those
    of the model's runs sum the same products in another order, so the test above allows for rounding; and
    a product of other rows may round otherwise, so the paths are asked for as a sweep cuts them.
    """
    runs, unpatched = as_replayed(computed_in_float64(family))
    options = {"verbose": False, "layer_norm": layer_norm}
    with KeepFloat64():
        every = get_act_patch_direct_path_all_sources(
            *runs.arguments, last_logit_difference, component, **options
        )
        one = get_act_patch_direct_path(*runs.arguments, last_logit_difference, 0, 1, component, **options)
    paths = causal(runs).nonzero()
    for sources, values in ((paths, every), (paths[(paths[:, :2] == torch.tensor([0, 1])).all(1)], one)):
        for layer in range(1, runs.model.cfg.n_layers):
            into = sources[sources[:, 2] == layer]
            labels = [(f"L{a}H{b}", f"L{c}H{d}.{component}") for a, b, c, d in into.tolist()]
            where = into.T if values is every else into.T[2:]
            found = effects(runs, labels, layer_norm=layer_norm)
            assert torch.equal(found, values[tuple(where)] - unpatched)
            assert found.abs().max() > 1e-4


def test_a_writer_with_one_reader_brings_the_whole_other_run():
    """Of a network without attention and MLPs only embed -> logits is left, and that edge is everything."""
    model = family_model.__wrapped__("gpt2")
    with torch.no_grad():
        for block in model.blocks:
            block.attn.o.original_component.weight[:] = 0.0
            block.mlp.out.original_component.weight[:] = 0.0
    runs = run_pair(model, *random_prompts(2, (4, 8), 9))
    for direction in (runs, swapped(runs)):
        with torch.no_grad():
            clean, own = (model(t) for t in (direction.clean_tokens, direction.corrupted_tokens))
        for metric in (LogitDifference(ANSWER, FOIL), KLFromClean(clean_logits=clean[:, -1])):
            found = effects(direction, [("embed", "logits")], metric)
            assert abs(found[0] - (metric(clean) - metric(own))) <= 1e-12
            assert abs(found[0]) > 1e-3
