"""Trains the bundled model without MLPs: ``python -m analysis.attention_model.train``.

Tokenizer, lessons and figures are those of `demo_model`; what is left out are the MLPs, so that whatever is
learned is learned by heads.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from analysis.attention_model import DIRECTORY
from analysis.attention_model.card import PORTRAIT
from analysis.demo_model.card import write_card
from analysis.demo_model.evaluation import measure
from analysis.demo_model.tokenizer import train_tokenizer
from analysis.demo_model.train import SEED, build_model, teach

STEPS, LAST_STEPS = 2_400, 150


class Silent(nn.Module):
    """In an MLP's place while the model is trained: writes nothing."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Zeros in the shape of `hidden`, [batch pos d_model]."""
        return torch.zeros_like(hidden)


def silence_mlps(model: GPT2LMHeadModel) -> None:
    """Put what writes nothing in place of every MLP."""
    for block in model.transformer.h:
        block.mlp = Silent()


def as_gpt2(model: GPT2LMHeadModel) -> GPT2LMHeadModel:
    """The same model as files of GPT-2 can hold it: every MLP one neuron wide, with zeros for weights."""
    whole = GPT2LMHeadModel(GPT2Config(**{**model.config.to_dict(), "n_inner": 1}))
    whole.load_state_dict(model.state_dict(), strict=False)  # of which the MLPs alone are missing
    for block in whole.transformer.h:
        for weight in block.mlp.parameters():
            nn.init.zeros_(weight)
    return whole.eval()


def main(arguments: list[str] | None = None) -> None:
    """Train, save, measure and write the model card."""
    parser = argparse.ArgumentParser(description="Train the bundled model without MLPs.")
    parser.add_argument("--output", type=Path, default=DIRECTORY, help="folder to write into")
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="updates before the last ones (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(2)
    began = time.perf_counter()
    tokenizer = train_tokenizer(SEED)
    tokenizer.save_pretrained(options.output)
    last = min(LAST_STEPS, options.steps)
    torch.manual_seed(SEED)
    taught = build_model(tokenizer)
    silence_mlps(taught)
    teach(taught, tokenizer, options.steps, last)
    minutes = (time.perf_counter() - began) / 60
    model = as_gpt2(taught)
    model.save_pretrained(options.output)
    figures = measure(model, tokenizer)
    write_card(options.output, PORTRAIT, model, figures, steps=options.steps + last, minutes=minutes)
    print(figures)


if __name__ == "__main__":
    main()
