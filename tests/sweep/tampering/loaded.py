"""Models that need nobody to be hard: norms over heads, clips, loud heads, training mode."""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import nn

from tests.runs import Runs, run_pair
from tests.sweep.tampering.table import done_to


@done_to("gpt2", "pythia", "llama-grouped", "gemma2", "bitnet", "minimax-m2", "olmoe", "olmoe-grouped")
def _nothing(runs: Runs, stack: ExitStack) -> None:
    """Norms over several heads, and one before W_O, among them."""


@done_to("gpt2")
def _weights_edited_in_place(runs: Runs, stack: ExitStack) -> None:
    for parameter in runs.model.blocks[1].mlp.parameters():
        parameter.mul_(1.5)


@done_to("olmo")
def _a_clip_that_patched_rows_alone_reach(runs: Runs, stack: ExitStack) -> None:
    model = runs.model
    for block in model.blocks:  # so that a patch moves what is clipped about as much as all else does
        block.attn.o.original_component.weight.mul_(4.0)
    loud = run_pair(model, runs.clean_tokens, runs.corrupted_tokens).corrupted_cache
    made = [loud[f"blocks.{layer}.attn.hook_{c}"].flatten() for layer in range(3) for c in "qkv"]
    model.original_model.config.clip_qkv = float(torch.cat(made).abs().max())


@done_to("gpt2", "llama")
def _a_head_whose_z_dwarfs_the_others(runs: Runs, stack: ExitStack) -> None:
    """What it writes is as before: eight ulps of its z are more than the other head's z changes."""
    for layer in (0, 1):
        attn = runs.model.blocks[layer].attn
        head = slice(0, runs.model.cfg.d_head)
        attn.v.original_component.weight[head] *= 1e15
        if attn.v.original_component.bias is not None:
            attn.v.original_component.bias[head] *= 1e15
        out = attn.o.original_component
        (out.weight[head] if type(out).__name__ == "Conv1D" else out.weight[:, head]).mul_(1e-15)


@done_to("gpt2", refused=True)
def _one_block_in_training_mode(runs: Runs, stack: ExitStack) -> None:
    runs.model.blocks[1].train()


@done_to("gpt2", refused=True)
def _one_dropout_in_training_mode(runs: Runs, stack: ExitStack) -> None:
    for module in runs.model.blocks[2].modules():
        if isinstance(module, nn.Dropout):
            module.train()
