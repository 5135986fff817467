"""Hooks that are written for one prompt, and hooks that steer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from tests.runs import Runs
from tests.sweep.tampering.table import done_to, in_layers


@done_to("gpt2", "llama-grouped")
def _an_ablation_of_the_first_prompt(runs: Runs, stack: ExitStack) -> None:
    def ablate(value: Tensor, hook: Any) -> Tensor:
        value[0, :, value.shape[2] - 1] = 0
        return value

    runs.model.add_hook("blocks.2.attn.hook_v", ablate)


@done_to("gpt2", "llama-grouped")
def _a_hook_that_gives_back_a_cached_activation(runs: Runs, stack: ExitStack) -> None:
    value = runs.clean_cache["blocks.1.hook_mlp_out"]
    runs.model.add_hook("blocks.1.hook_mlp_out", lambda activation, hook: value)


@done_to("pythia")
def _half_a_head_taken_away_in_place(runs: Runs, stack: ExitStack) -> None:
    def halve(value: Tensor, hook: Any) -> None:
        value[:, :, 0] *= 0.5

    runs.model.add_hook("blocks.1.attn.hook_z", halve)


def _hook_on_qkv(runs: Runs, change: Callable[[Tensor], Tensor]) -> None:
    for name in [name for c in "qkv" for name in in_layers(f"attn.hook_{c}")]:
        runs.model.add_hook(name, lambda value, hook: change(value))


@done_to("gpt2", "llama-grouped")
def _q_k_and_v_steered(runs: Runs, stack: ExitStack) -> None:
    steer = torch.linspace(-0.3, 0.5, runs.model.cfg.d_head, dtype=torch.float64)
    _hook_on_qkv(runs, lambda value: value + steer)


@done_to("pythia")
def _q_k_and_v_stretched(runs: Runs, stack: ExitStack) -> None:
    _hook_on_qkv(runs, lambda value: 1.5 * value)


@done_to("llama-grouped")
def _rotated_q_and_k_steered(runs: Runs, stack: ExitStack) -> None:
    for name in [*in_layers("attn.hook_rot_q"), *in_layers("attn.hook_rot_k")]:
        runs.model.add_hook(name, lambda value, hook: value + 0.2)


@done_to("gpt2", "llama-grouped", refused=True)
def _an_mlp_halved_where_heads_read_copies_of_the_stream(runs: Runs, stack: ExitStack) -> None:
    """Neither the model's own forward under hooks nor the reference can put a patch there."""
    runs.model.set_use_split_qkv_input(True)
    runs.model.add_hook("blocks.1.hook_mlp_out", lambda value, hook: 0.5 * value)


@done_to("gpt2", refused=True)
def _an_mlp_halved_where_attention_reads_a_copy_of_the_stream(runs: Runs, stack: ExitStack) -> None:
    runs.model.set_use_attn_in(True)
    runs.model.add_hook("blocks.1.hook_mlp_out", lambda value, hook: 0.5 * value)
