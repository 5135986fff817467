"""Edges patched at one position at a time, against the slow reference with hooks."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch

from analysis.edges import Exchange, effects_by_position, measured_effects
from analysis.requests import HEAD_INPUTS, LayerNormMode
from tests.edges import reference
from tests.edges.reference import every_edge, reader_kind, writer_kind
from tests.reference import FLOAT64_TOLERANCE, patched_logits, z_with
from tests.runs import Edge, KeepFloat64, Runs, computed_in_float64, family_runs, last_logit_difference


def exchange_of(runs: Runs, layer_norm: LayerNormMode = "exact") -> Exchange:
    return Exchange.of(
        runs.model, runs.corrupted_tokens, runs.clean_tokens, last_logit_difference, layer_norm=layer_norm
    )


def one_of_each_kind(runs: Runs) -> list[tuple[str, str]]:
    found = {
        (writer_kind(writer), reader_kind(reader)): (writer, reader) for writer, reader in every_edge(runs)
    }
    return list(found.values())


@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "gemma2", "phi"])
def test_each_kind_of_edge_at_every_position(family: str) -> None:
    runs = computed_in_float64(family)
    edges = one_of_each_kind(runs)
    with KeepFloat64():
        exchange = exchange_of(runs)
        found = torch.from_numpy(effects_by_position(exchange, exchange.graph.index(edges)))
    plain = last_logit_difference(reference._plain_logits(runs))
    whole = reference.written_difference
    for position in range(found.shape[1]):

        def at_position(runs: Runs, writer: str, here: int = position) -> torch.Tensor:
            delta = torch.zeros_like(whole(runs, writer))
            delta[:, here] = whole(runs, writer)[:, here]
            return delta

        with patch.object(reference, "written_difference", at_position):
            true = [
                last_logit_difference(reference.patched_edge.__wrapped__(runs, *edge, "exact")) - plain
                for edge in edges
            ]
        assert (found[:, position] - torch.stack(true)).abs().max() <= FLOAT64_TOLERANCE * found.abs().max()


def test_what_is_written_at_one_position_alone_has_the_effect_of_the_whole_edge() -> None:
    runs = family_runs("gpt2", differences=(4,))
    with KeepFloat64():
        exchange = exchange_of(runs)
        edges = exchange.graph.index([("embed", "L1H0.v"), ("embed", "MLP1"), ("embed", "L2H1.k")])
        found = effects_by_position(exchange, edges)
        whole = measured_effects(exchange, edges)
    differs = (runs.clean_tokens != runs.corrupted_tokens).any(0)
    assert not found[:, ~differs.numpy()].any() and whole.any()
    (where,) = differs.nonzero()[:, 0].tolist()
    assert abs(found[:, where] - whole).max() <= FLOAT64_TOLERANCE * abs(whole).max()


@pytest.mark.parametrize("layer_norm", ["frozen", "exact"])
@pytest.mark.parametrize("family", ["gpt2", "llama-grouped"])
def test_paths_between_heads_at_every_position_are_those_of_the_models_own_forward(
    family: str, layer_norm: LayerNormMode
) -> None:
    runs = computed_in_float64(family)
    paths = [(Edge(0, 1, 1, 0), component) for component in HEAD_INPUTS] + [(Edge(0, 0, 2, 1), "k")]
    with KeepFloat64():
        exchange = exchange_of(runs, layer_norm)
        labels = [(f"L{e.sl}H{e.sh}", f"L{e.dl}H{e.dh}.{component}") for e, component in paths]
        found = torch.from_numpy(effects_by_position(exchange, exchange.graph.index(labels)))
        plain = last_logit_difference(reference._plain_logits(runs))
        true = [
            [
                last_logit_difference(patched_logits(runs, edge, component, layer_norm, positions=[position]))
                - plain
                for position in range(found.shape[1])
            ]
            for edge, component in paths
        ]
    assert found.abs().max() > 0
    assert (found - torch.tensor(true)).abs().max() <= FLOAT64_TOLERANCE * found.abs().max()


def last_layer(runs: Runs) -> int:
    return runs.model.cfg.n_layers - 1


@pytest.mark.parametrize("layer_norm", ["frozen", "exact"])
def test_a_query_of_the_last_layer_is_heard_at_the_last_position_alone(layer_norm: LayerNormMode) -> None:
    runs = family_runs("gpt2")
    with KeepFloat64():
        exchange = exchange_of(runs, layer_norm)
        edges = exchange.graph.index([("L0H1", f"L{last_layer(runs)}H0.q")])
        [found] = effects_by_position(exchange, edges)
        [whole] = measured_effects(exchange, edges)
    assert abs(whole) > 1e-6 and abs(found[:-1]).max() <= FLOAT64_TOLERANCE * abs(whole)
    assert found[-1] == pytest.approx(whole, rel=FLOAT64_TOLERANCE)


@pytest.mark.parametrize("layer_norm", ["frozen", "exact"])
@pytest.mark.parametrize(("component", "adds_up"), [("q", True), ("k", False), ("v", True)])
def test_what_the_destination_puts_out_adds_up_over_positions_but_for_keys(
    layer_norm: str, component: str, adds_up: bool
) -> None:
    """What the page says of the sum, of the model itself."""
    runs = family_runs("gpt2")
    with KeepFloat64():
        delta = reference.written_difference(runs, "L0H1")
        own = runs.corrupted_cache["blocks.1.attn.hook_z"][:, :, 0]

        def change(at: torch.Tensor) -> torch.Tensor:
            return z_with(runs, at, 1, 0, component, layer_norm)[:, :, 0] - own

        whole, parts = change(delta), torch.zeros_like(own)
        for position in range(delta.shape[1]):
            here = torch.zeros_like(delta)
            here[:, position] = delta[:, position]
            parts += change(here)
    assert whole.abs().max() > 0
    gap = float((whole - parts).abs().max() / whole.abs().max())
    assert gap < FLOAT64_TOLERANCE if adds_up else gap > 1e3 * FLOAT64_TOLERANCE
