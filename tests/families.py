"""Small random models of every decoder family that Pathscope supports, as Hugging Face directories.

Each is a few thousand parameters with real architecture switches turned on (grouped keys and
values, sliding windows, softcaps, parallel blocks ...), so that a family's own code path runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

VOCABULARY_SIZE = 320
CONTEXT_LENGTH = 64

_ROPE_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT_LENGTH,
    "tie_word_embeddings": False,
}
_GPT_SIZES: dict[str, Any] = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": CONTEXT_LENGTH}

#: Family name -> (Hugging Face ``model_type``, configuration).
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", _GPT_SIZES),
    "gpt-neo": (
        "gpt_neo",
        {
            "hidden_size": 32,
            "num_layers": 3,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1], [["global"], 1]],
            "window_size": 4,
            "max_position_embeddings": CONTEXT_LENGTH,
        },
    ),
    "gpt-j": ("gptj", _GPT_SIZES | {"rotary_dim": 4}),
    "pythia": ("gpt_neox", _ROPE_SIZES | {"rotary_pct": 0.5}),
    "opt": (
        "opt",
        {
            "hidden_size": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "word_embed_proj_dim": 32,
            "max_position_embeddings": CONTEXT_LENGTH,
        },
    ),
    "phi": ("phi", _ROPE_SIZES | {"partial_rotary_factor": 0.5}),
    "llama": ("llama", _ROPE_SIZES | {"num_key_value_heads": 4}),
    "llama-grouped": ("llama", _ROPE_SIZES | {"num_key_value_heads": 2}),
    "mistral": ("mistral", _ROPE_SIZES | {"num_key_value_heads": 2, "sliding_window": 4}),
    "qwen2": ("qwen2", _ROPE_SIZES | {"num_key_value_heads": 2}),
    "qwen3": ("qwen3", _ROPE_SIZES | {"num_key_value_heads": 2, "head_dim": 8}),
    "gemma2": (
        "gemma2",
        _ROPE_SIZES
        | {
            "num_key_value_heads": 2,
            "head_dim": 8,
            "sliding_window": 4,
            "query_pre_attn_scalar": 8,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0,
            "tie_word_embeddings": True,
        },
    ),
}


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
    model_type, sizes = FAMILIES[name]
    tokenizer = byte_tokenizer()
    config = AutoConfig.for_model(
        model_type, **sizes, vocab_size=VOCABULARY_SIZE, bos_token_id=0, eos_token_id=0, pad_token_id=0
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(dtype)
            parameter.copy_(parameter + 0.2 * noise if parameter.ndim == 1 else 0.25 * noise)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
