"""Small random models of every decoder family, as Hugging Face directories."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from tests.configurations import CONTEXT_LENGTH, EVERY_FAMILY, FAMILIES

__all__ = ["CONTEXT_LENGTH", "EVERY_FAMILY", "FAMILIES", "VOCABULARY_SIZE", "byte_tokenizer", "write_family"]

VOCABULARY_SIZE = 320


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer in which every byte is a token and `` a``..`` z`` merge with the space."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f" {chr(97 + i)}" for i in range(26)] * 4, trainer)
    special = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special, eos_token=special, unk_token=special, pad_token=special
    )


def write_family(name: str, directory: Path, *, dtype: torch.dtype = torch.float32, seed: int = 0) -> Path:
    """Write a random model of family `name` with its tokenizer to `directory` and return it.

    Weights are drawn with a spread that makes attention far from uniform, and every bias and
    normalisation weight is moved off its neutral start, so that a forgotten term shows.
    """
    model_type, sizes = (EVERY_FAMILY | FAMILIES)[name]
    tokenizer = byte_tokenizer()
    config = AutoConfig.for_model(
        model_type, **sizes, vocab_size=VOCABULARY_SIZE, bos_token_id=0, eos_token_id=0, pad_token_id=0
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(dtype)
            keeps_start = parameter.ndim == 1 or "norm" in path
            parameter.copy_(parameter + 0.2 * noise if keeps_start else 0.25 * noise)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
