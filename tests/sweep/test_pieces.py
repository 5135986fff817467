"""How large a piece may be: what its rows take, how soon it is seen, how soon it can be stopped."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from analysis.errors import PathscopeError
from analysis.metrics import LogitDifference
from analysis.sweep import Sweep
from analysis.sweep.pieces import (
    OPERATIONS_AT_ONCE,
    OPERATIONS_OF_A_PIECE,
    POSITIONS_AT_LEAST,
    POSITIONS_AT_ONCE,
    check_room,
    cut,
    edges_at_once,
    weights_per_block,
)
from tests.runs import causal, family_model, family_runs, last_logit_difference, run_pair

NAMED = LogitDifference(answer=7, foil=11)


class LiveBytes(TorchDispatchMode):
    """While this holds, counts the bytes of tensors that were made within it and are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id_of(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and id_of(tensor) not in given | self._sizes.keys():
                storage = tensor.untyped_storage()
                self._sizes[id_of(tensor)] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, id_of(tensor))
        self.peak = max(self.peak, self.now)
        return made

    def _gone(self, storage: int) -> None:
        self.now -= self._sizes.pop(storage)


def id_of(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def peak_of(sweep: Sweep) -> int:
    with LiveBytes() as live:
        for _ in sweep.run():
            pass
    return live.peak


@pytest.mark.parametrize("metric", [NAMED, last_logit_difference], ids=["named", "plain"])
@pytest.mark.parametrize(
    ("n_tokens", "batch", "memory_bytes", "dtype"),
    [(24, 4, 2**22, torch.float64), (32, 1, 2**19, torch.float32), (8, 8, 2**20, torch.float32)],
    ids=["both", "tokens", "prompts"],
)
@pytest.mark.parametrize("family", ["gpt2", "llama-grouped"])
def test_the_rows_of_a_piece_stay_within_the_budget_and_use_more_than_a_sixth_of_it(
    family, n_tokens, batch, memory_bytes, dtype, metric
):
    runs = family_runs(family, dtype, n_tokens=n_tokens, batch=batch, differences=(1,))
    sweep = Sweep(*runs.arguments, metric, component="k", layer_norm="exact", memory_bytes=memory_bytes)
    assert sweep.n_pieces > 2
    assert memory_bytes / 6 < peak_of(sweep) <= memory_bytes


@pytest.mark.parametrize("family", ["gpt2", "llama-grouped"])
def test_the_rows_of_pieces_of_several_layers_stay_within_the_budget(family):
    runs = family_runs(family, torch.float32, n_tokens=32, differences=(1,))
    edges = causal(runs).nonzero().numpy()
    order = edges[np.random.default_rng(0).permutation(len(edges))]
    sweep = Sweep(*runs.arguments, NAMED, component="k", layer_norm="exact", order=order, memory_bytes=2**19)
    assert sweep.n_pieces > 2
    assert any(len(np.unique(piece.edges[:, 2])) > 1 for piece in sweep.run())
    assert 2**19 / 6 < peak_of(sweep) <= 2**19


def test_a_piece_of_several_layers_is_no_larger_than_its_lowest_layer_allows():
    edges = np.array([(0, 0, layer, head) for head in range(6) for layer in (3, 2)])
    assert [len(piece) for piece in cut(edges, {1: 2, 2: 5, 3: 9}, n_first=12)] == [4, 4, 4]
    assert [len(piece) for piece in cut(edges, {1: 2, 2: 5, 3: 9}, n_first=5)] == [5, 4, 3]


#: d_model, width of all heads, d_mlp, blocks: a toy, GPT-2 small, Qwen2.5-0.5B, GPT-2 XL, Llama 3 8B, of
#: which one block alone is more than can be stopped in time.
SHAPES = [
    (64, 64, 256, 2),
    (768, 768, 3072, 12),
    (896, 896, 4864, 24),
    (1600, 1600, 6400, 48),
    (4096, 4096, 14336, 32),
]


@pytest.mark.parametrize("positions_per_edge", [1, 15, 100, 700])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_piece_is_the_largest_that_is_seen_and_stopped_in_time(shape, positions_per_edge):
    """Where products would be too small for any speed, whoever watches waits longer for a piece."""
    d_model, d_attention, d_mlp, blocks = shape
    # Two operations for each entry of W_Q, W_K, W_V, W_O, W_in and W_out.
    of_a_block = 2 * (4 * d_model * d_attention + 2 * d_model * d_mlp)

    def in_time(edges: int) -> bool:
        positions = edges * positions_per_edge
        seen = positions <= POSITIONS_AT_LEAST or positions * of_a_block * blocks <= OPERATIONS_OF_A_PIECE
        return positions <= POSITIONS_AT_ONCE and seen and positions * of_a_block <= OPERATIONS_AT_ONCE

    weights = weights_per_block(d_model, d_attention, d_mlp)
    found = edges_at_once(2**40, 1, positions_per_edge, weights, blocks)
    # The last edge may reach over the limit, so that a piece has one at least.
    assert found == 1 or in_time(found - 1)
    assert not in_time(found + 1)


def test_a_piece_takes_no_more_memory_than_there_is():
    weights = weights_per_block(64, 64, 256)
    assert edges_at_once(1000, 100, 1, weights, 2) == 10
    assert edges_at_once(1099, 100, 1, weights, 2) == 10
    assert edges_at_once(100, 100, 1, weights, 2) == 1


def test_a_row_that_does_not_fit_is_refused_with_what_it_needs():
    with pytest.raises(
        PathscopeError, match=r"needs 3 MiB, more than .* budget of 2 MiB\. Raise PATHSCOPE_SWEEP_BYTES"
    ):
        edges_at_once(2 * 2**20, 3 * 2**20, 1, weights_per_block(64, 64, 256), 2)


@pytest.mark.parametrize("engine", ["replay", "hooks"])
def test_a_piece_that_memory_does_not_hold_is_refused_before_it_is_run(engine, monkeypatch):
    runs = family_runs("llama", torch.float32, n_tokens=32, differences=(1,))
    if engine == "hooks":
        model = family_model.__wrapped__("llama")
        model.original_model.config.swiglu_limit = 7.0
        runs = run_pair(model, runs.clean_tokens, runs.corrupted_tokens)
    monkeypatch.setenv("PATHSCOPE_MEMORY_BYTES", "1MiB")
    told = r"One piece .* takes \d+ MiB, and 0 MiB .* lower PATHSCOPE_SWEEP"
    with pytest.raises(PathscopeError, match=told):
        Sweep(*runs.arguments, NAMED, component="k")
    monkeypatch.setenv("PATHSCOPE_MEMORY_BYTES", "64GiB")
    assert Sweep(*runs.arguments, NAMED, component="k").engine == engine


def test_the_memory_of_a_piece_on_an_accelerator_is_its_own(monkeypatch):
    monkeypatch.setenv("PATHSCOPE_MEMORY_BYTES", "1MiB")
    check_room(2**40, torch.device("cuda"))
