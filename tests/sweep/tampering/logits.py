"""Logits that dwarf the others, so that what else is wrong hides behind them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from torch import Tensor

from tests.families import VOCABULARY_SIZE
from tests.runs import Runs
from tests.sweep.tampering.parts import mlp_module, put_forward
from tests.sweep.tampering.table import done_to

#: Tokens that no metric of the table reads.
_BANNED = slice(100, 140)


def _off_by_half(runs: Runs) -> None:
    module = mlp_module(runs, 1)
    own = module.forward
    put_forward(module, lambda *args, **options: 1.5 * own(*args, **options))


def _forbid(value: Tensor, hook: Any) -> Tensor:
    value = value.clone()
    value[..., _BANNED] = float("-inf")
    return value


@done_to("gpt2")
def _tokens_banned_by_a_hook(runs: Runs, stack: ExitStack) -> None:
    runs.model.add_hook("unembed.hook_out", _forbid)


@done_to("llama-grouped", "gpt2")
def _tokens_banned_by_a_hook_and_an_mlp_off_by_half(runs: Runs, stack: ExitStack) -> None:
    runs.model.add_hook("unembed.hook_out", _forbid)
    _off_by_half(runs)


@done_to("pythia")
def _tokens_banned_by_the_bias(runs: Runs, stack: ExitStack) -> None:
    runs.model.unembed.original_component.bias[_BANNED] = float("-inf")


@done_to("gpt2")
def _tokens_banned_by_the_bias_and_an_mlp_off_by_half(runs: Runs, stack: ExitStack) -> None:
    runs.model.unembed.original_component.bias[_BANNED] = float("-inf")
    _off_by_half(runs)


@done_to("gpt2", "pythia")
def _a_padded_vocabulary_and_an_mlp_off_by_half(runs: Runs, stack: ExitStack) -> None:
    runs.model.unembed.original_component.bias[VOCABULARY_SIZE - 20 :] = -1e4
    _off_by_half(runs)
