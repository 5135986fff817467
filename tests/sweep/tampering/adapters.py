"""Adapters and parametrizations on the projections."""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tests.runs import Runs
from tests.sweep.tampering.table import done_to


class LowRank(nn.Module):
    """A low-rank adapter around a linear layer, which it shows as its own weight and bias."""

    def __init__(self, inside: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.inside = inside
        generator = torch.Generator().manual_seed(3)
        wide, narrow = inside.weight.shape if isinstance(inside, nn.Linear) else inside.weight.shape[::-1]
        self.down = 0.3 * torch.randn(rank, narrow, generator=generator, dtype=torch.float64)
        self.up = 0.3 * torch.randn(wide, rank, generator=generator, dtype=torch.float64)

    @property
    def weight(self) -> Tensor:
        return self.inside.weight

    @property
    def bias(self) -> Tensor | None:
        return self.inside.bias

    def forward(self, read: Tensor) -> Tensor:
        return self.inside(read) + read @ self.down.T @ self.up.T


def _adapt(runs: Runs, *projections: str) -> None:
    for block in runs.model.blocks:
        for name in projections:
            linear = getattr(block.attn, name)
            linear.add_module("_original_component", LowRank(linear.original_component).eval())


@done_to("gpt2", "llama-grouped", "gemma2")
def _adapters_on_q_k_and_v(runs: Runs, stack: ExitStack) -> None:
    _adapt(runs, "q", "k", "v")


@done_to("llama")
def _adapters_on_o(runs: Runs, stack: ExitStack) -> None:
    _adapt(runs, "o")


class Stretched(nn.Module):
    """A parametrization: half as much again of whatever weight it stands on."""

    def forward(self, weight: Tensor) -> Tensor:
        return 1.5 * weight


@done_to("llama-grouped")
def _parametrizations_on_q_k_and_v(runs: Runs, stack: ExitStack) -> None:
    for block in runs.model.blocks:
        for linear in (block.attn.q, block.attn.k, block.attn.v):
            parametrize.register_parametrization(linear.original_component, "weight", Stretched())
