"""A table of what people do to a model before they ask what a path does.

Each entry changes a fresh small model, whose run of both prompts as it was is at hand, and holds
while it is asked; the caches that it is asked with are made while it holds. Most leave the
corrupted run as it was, so that nothing which only looks at that run can see them.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from transformer_lens.model_bridge import TransformerBridge

from tests.families import FAMILIES, write_family
from tests.runs import KeepFloat64, Runs, run_pair

_LLAMA: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
    "tie_word_embeddings": False,
}
_SHARED = _LLAMA | {"num_key_value_heads": 1}
_FEW_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2}
#: Two heads a layer, so that every path of a model is a dozen.
_SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", {"n_embd": 32, "n_layer": 3, "n_head": 2, "n_positions": 16}),
    "pythia": ("gpt_neox", _LLAMA | {"rotary_pct": 0.5}),
    "llama": ("llama", _LLAMA),
    "llama-grouped": ("llama", _SHARED),
    "gemma2": ("gemma2", FAMILIES["gemma2"][1] | _SHARED | {"head_dim": 16, "tie_word_embeddings": True}),
    "bitnet": ("bitnet", _SHARED),
    "glm": ("glm", _SHARED | {"head_dim": 16}),
    "nemotron": ("nemotron", _SHARED),
    "minimax-m2": ("minimax_m2", _SHARED | _FEW_EXPERTS | {"head_dim": 16}),
    "olmo": ("olmo", _LLAMA),
    "olmoe": ("olmoe", _LLAMA | _FEW_EXPERTS),
    # Four heads on two keys: patching one key leaves the other, which shares its norm.
    "olmoe-grouped": (
        "olmoe",
        _LLAMA | _FEW_EXPERTS | {"num_attention_heads": 4, "num_key_value_heads": 2},
    ),
}

Deed = Callable[[Runs, ExitStack], None]


@dataclass(frozen=True)
class Tampering:
    """One thing done to one family; `refused` where no right answer exists."""

    name: str
    family: str
    deed: Deed
    refused: bool = False


TABLE: dict[str, Tampering] = {}


def done_to(*families: str, refused: bool = False) -> Callable[[Deed], Deed]:
    def enter(deed: Deed) -> Deed:
        name = deed.__name__.strip("_").replace("_", " ")
        for family in families:
            TABLE[f"{name}, {family}"] = Tampering(name, family, deed, refused)
        return deed

    return enter


def in_layers(name: str, *layers: int) -> list[str]:
    """Hook `name` in `layers`, in all three of the table's models if none is given."""
    return [f"blocks.{layer}.{name}" for layer in layers or range(3)]


@contextmanager
def tampered(tampering: Tampering) -> Iterator[Runs]:
    """Runs of a fresh model to which `tampering` has been done, while it holds.

    Norms and softmax that would drop to float32 keep float64, so that no noise hides a difference.
    """
    generator = torch.Generator().manual_seed(1)
    clean = torch.randint(1, 100, (2, 7), generator=generator)
    corrupted = clean.clone()
    corrupted[:, [3, 4]] = 1 + (clean[:, [3, 4]] + 50) % 99
    with ExitStack() as stack, warnings.catch_warnings():
        # That an edited scale is rebuilt outside the family's own code is what the edit asks for.
        warnings.filterwarnings("ignore", "A forward hook edited hook_scale")
        if tampering.family != "gpt2":  # which keeps it by itself
            stack.enter_context(KeepFloat64())
        runs = run_pair(fresh_model(tampering.family), clean, corrupted)
        tampering.deed(runs, stack)
        yield run_pair(runs.model, clean, corrupted)


def folder_of(family: str) -> Path:
    """A Hugging Face folder with a model of the table's size of `family`."""
    return Path(_folder(family).name)


@cache
def _folder(family: str) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    with mock.patch.dict(FAMILIES, _SMALL):
        write_family(family, Path(folder.name))
    return folder


def fresh_model(family: str) -> TransformerBridge:
    """A model of the table's size of `family`, always with the same weights, as it is loaded."""
    model = TransformerBridge.boot_transformers(str(folder_of(family)), device="cpu", dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these cannot be folded, and their adapters say so
        model.enable_compatibility_mode(disable_warnings=True)
    if "Experts" in {type(module).__name__[-7:] for module in model.original_model.modules()}:
        model.original_model.set_experts_implementation("eager")  # grouped products know no float64
    return model.requires_grad_(False).eval()
