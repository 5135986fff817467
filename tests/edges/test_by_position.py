"""Edges patched at one position at a time, against the slow reference with hooks."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch

from analysis.edges import Exchange, effects_by_position, measured_effects
from tests.edges import reference
from tests.edges.reference import every_edge, reader_kind, writer_kind
from tests.reference import FLOAT64_TOLERANCE
from tests.runs import KeepFloat64, Runs, computed_in_float64, family_runs, last_logit_difference


def exchange_of(runs: Runs) -> Exchange:
    return Exchange.of(runs.model, runs.corrupted_tokens, runs.clean_tokens, last_logit_difference)


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
