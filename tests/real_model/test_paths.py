"""Direct paths of the real model, one source and all of them, against exact and slow computations.

The strongest frozen path into q, k and v was found by a full sweep of all 35,235 paths each, run once by
hand. Held here are those cells, and that the 50 paths with the largest estimates have none above them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformer_lens import patching

from analysis import edge_attribution, get_act_patch_direct_path
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, HeadInput, LayerNormMode
from analysis.sweep import Sweep
from tests.real_model.conftest import RealModel
from tests.reference import head_write, patched_logits
from tests.runs import Edge

#: Input -> its strongest frozen path and the effect of that, in logits.
STRONGEST = {
    "q": (Edge(20, 0, 23, 0), 1.650),
    "k": (Edge(16, 1, 23, 3), 0.253),
    "v": (Edge(23, 3, 29, 1), 1.739),
}


def effects(
    real_model: RealModel, edges: Sequence[Edge], component: HeadInput, layer_norm: LayerNormMode
) -> dict[Edge, float]:
    """What the sweep of all sources measures for `edges`, which it is told to take first."""
    first = sorted(edges, key=lambda edge: (edge.dl, edge.dh, edge.sl, edge.sh))  # in as few pieces as can be
    sweep = Sweep(
        *real_model.runs.arguments,
        real_model.metric,
        component=component,
        layer_norm=layer_norm,
        order=np.array(first),
    )
    assert sweep.engine == "replay"
    found: dict[Edge, float] = {}
    for piece in sweep.run():
        values = (piece.values - sweep.baseline).tolist()
        found.update(zip((Edge(*edge) for edge in piece.edges.tolist()), values, strict=True))
        if found.keys() >= set(edges):
            break
    return {edge: found[edge] for edge in edges}


def slow_effect(real_model: RealModel, edge: Edge, component: HeadInput, layer_norm: LayerNormMode) -> float:
    logits = patched_logits(real_model.runs, edge, component, layer_norm)
    return float(real_model.metric(logits)) - real_model.baseline


def effect_at_the_fork(real_model: RealModel, edge: Edge) -> float:
    """The exact path into q through the input that TransformerLens gives every head's q for itself."""
    runs = real_model.runs
    delta = head_write(runs, runs.clean_cache, edge) - head_write(runs, runs.corrupted_cache, edge)

    def add(q_input: Tensor, hook: Any) -> Tensor:
        q_input = q_input.clone()
        q_input[:, :, edge.dh] += delta
        return q_input

    real_model.model.set_use_split_qkv_input(True)
    try:
        with torch.no_grad():
            logits = real_model.model.run_with_hooks(
                runs.corrupted_tokens, fwd_hooks=[(f"blocks.{edge.dl}.attn.hook_q_input", add)]
            )
    finally:
        real_model.model.set_use_split_qkv_input(False)
    return float(real_model.metric(logits)) - real_model.baseline


def largest_estimates(real_model: RealModel, component: HeadInput, number: int) -> list[Edge]:
    """The frozen paths with the largest estimates."""
    estimate = edge_attribution(*real_model.runs.arguments, real_model.metric, component).abs()
    places = np.unravel_index(estimate.flatten().topk(number).indices.numpy(), estimate.shape)
    return [Edge(*edge) for edge in np.stack(places, axis=1).tolist()]


def some_edges(real_model: RealModel, component: HeadInput, number: int) -> list[Edge]:
    """The strongest path, and others that are worth measuring: most paths have no effect at all."""
    strongest, _ = STRONGEST[component]
    others = [edge for edge in largest_estimates(real_model, component, 200) if edge != strongest]
    return [strongest, *random.Random(component).sample(others, number - 1)]


def assert_equal(ours: dict[Edge, float], slow: dict[Edge, float]) -> None:
    """Equal to 1e-4 of the largest effect, of which there is one."""
    largest = max(map(abs, slow.values()))
    assert largest > 0.1
    for edge in slow:
        assert abs(ours[edge] - slow[edge]) <= 1e-4 * largest, edge


def test_one_source_into_q_equals_transformer_lens(real_model: RealModel):
    source = (23, 3)
    arguments = (*real_model.runs.arguments, real_model.metric, *source, "q")
    oracle = patching.get_act_patch_direct_path(*arguments, verbose=False)
    ours = get_act_patch_direct_path(*arguments, verbose=False, layer_norm="exact")
    edges = [Edge(*source, dl, dh) for dl in range(source[0] + 1, 30) for dh in range(9)]
    alone, slow = (
        {edge: float(values[edge.dl, edge.dh]) - real_model.baseline for edge in edges}
        for values in (ours, oracle)
    )
    assert_equal(alone, slow)
    assert_equal(effects(real_model, edges, "q", "exact"), slow)


def test_paths_into_q_from_anywhere_equal_transformer_lens(real_model: RealModel):
    edges = some_edges(real_model, "q", 9)
    slow = {edge: effect_at_the_fork(real_model, edge) for edge in edges}
    assert_equal(effects(real_model, edges, "q", "exact"), slow)


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_paths_from_anywhere_equal_the_reference(
    in_float64: RealModel, component: HeadInput, layer_norm: LayerNormMode
):
    edges = some_edges(in_float64, component, 5)
    slow = {edge: slow_effect(in_float64, edge, component, layer_norm) for edge in edges}
    assert_equal(effects(in_float64, edges, component, layer_norm), slow)


@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_the_strongest_path_is_known_and_nothing_that_was_estimated_large_exceeds_it(
    real_model: RealModel, component: HeadInput
):
    strongest, effect = STRONGEST[component]
    edges = largest_estimates(real_model, component, 50)
    measured = effects(real_model, edges, component, "frozen")
    assert max(measured, key=lambda edge: abs(measured[edge])) == strongest
    assert measured[strongest] == pytest.approx(effect, abs=1e-3)
