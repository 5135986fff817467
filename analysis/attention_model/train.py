"""Trains the bundled model without MLPs: ``python -m analysis.attention_model.train``.

Tokenizer, lessons and figures are those of `demo_model`; what is left out are the MLPs, so that whatever is
learned is learned by heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from analysis.attention_model import DIRECTORY
from analysis.attention_model.card import PORTRAIT
from analysis.demo_model.train import SEED, build_model, ship, teach

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


def train(tokenizer: PreTrainedTokenizerFast, steps: int, last: int) -> GPT2LMHeadModel:
    """A model from nothing, after all its lessons, without MLPs from the first; it is ready for use."""
    torch.manual_seed(SEED)
    model = build_model(tokenizer)
    silence_mlps(model)
    teach(model, tokenizer, steps, last)
    return as_gpt2(model)


def main(arguments: list[str] | None = None) -> None:
    """Train the bundled model without MLPs and write its folder."""
    ship(train, PORTRAIT, DIRECTORY, (STEPS, LAST_STEPS), arguments)


if __name__ == "__main__":
    main()
