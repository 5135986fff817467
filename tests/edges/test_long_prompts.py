"""What is done in parts where prompts are long gives what it gives in one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from analysis.decoder import attending
from analysis.edges import Exchange, JointReplay, brought, estimated_effects, measured_effects, rows
from analysis.edges import added as added_room
from analysis.edges.added import AddedReplay
from analysis.metrics import LogitDifference
from analysis.requests import LAYER_NORM_MODES, LayerNormMode
from tests.configurations import FAMILIES
from tests.runs import family_runs

METRIC = LogitDifference(7, 11)


def exchange_of(family: str) -> Exchange:
    runs = family_runs(family)
    return Exchange.of(runs.model, runs.corrupted_tokens, runs.clean_tokens, METRIC)


def random_sets(exchange: Exchange) -> np.ndarray:
    exists = exchange.graph.exists
    return (np.random.default_rng(3).random((3, *exists.shape)) < 0.2) & exists


ASKED: dict[str, Callable[[Exchange], np.ndarray]] = {
    "estimates": lambda exchange: estimated_effects(exchange)[exchange.graph.exists],
    "effects": lambda exchange: measured_effects(exchange, exchange.graph.edges[::7]),
    "replaced": lambda exchange: JointReplay.of(exchange).measure(random_sets(exchange), lambda: None)[0],
    "added": lambda exchange: AddedReplay.of(exchange).measure(random_sets(exchange), lambda: None)[0],
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_in_parts_as_in_one(monkeypatch, family: str, asked: str) -> None:
    """Queries, positions and writers each in blocks of two."""
    whole = ASKED[asked](exchange_of(family))
    monkeypatch.setattr(attending, "QUERIES_AT_ONCE", 2)
    monkeypatch.setattr(added_room, "WRITERS_AT_ONCE", 2)
    monkeypatch.setattr(rows, "CACHE_BYTES", 1)
    parts = ASKED[asked](exchange_of(family))
    assert np.abs(whole).max() > 0
    np.testing.assert_allclose(parts, whole, atol=1e-9 * float(np.abs(whole).max()))


@pytest.mark.filterwarnings("ignore:.*norm:UserWarning")
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_what_heads_bring_may_be_mapped_without_the_residual_stream(
    monkeypatch, family: str, layer_norm: LayerNormMode, folded: bool
) -> None:
    runs = family_runs(family, folded=folded)
    tokens = runs.corrupted_tokens, runs.clean_tokens
    exchange = Exchange.of(runs.model, *tokens, METRIC, layer_norm=layer_norm)
    found = []
    for pays in (False, True):
        monkeypatch.setattr(brought, "folding_pays", lambda *_, pays=pays: pays)
        found.append(estimated_effects(exchange)[exchange.graph.exists])
    np.testing.assert_allclose(found[1], found[0], atol=1e-9 * float(np.abs(found[0]).max()))


def test_queries_in_blocks_see_the_keys_up_to_their_last(monkeypatch) -> None:
    monkeypatch.setattr(attending, "QUERIES_AT_ONCE", 2)
    attention = exchange_of("gpt2").required_replay("test").decoder.blocks[0].attention
    found = [(block, n_keys, visible.tolist()) for block, n_keys, visible in attention.blocks(slice(1, 4), 4)]
    assert found == [
        (slice(0, 2), 3, [[True, True, False], [True, True, True]]),
        (slice(2, 3), 4, [[True, True, True, True]]),
    ]
