"""The clean and corrupted runs that sweeps are tested on, and what holds of every sweep."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.overrides import TorchFunctionMode
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM

from tests.families import VOCABULARY_SIZE, write_family

Metric = Callable[[Float[Tensor, "batch pos d_vocab"]], Tensor]


class Edge(NamedTuple):
    """A direct path: source layer and head, destination layer and head."""

    sl: int
    sh: int
    dl: int
    dh: int


@dataclass(frozen=True, eq=False)
class Runs:
    """A model with the clean and the corrupted run that a sweep starts from."""

    model: Any
    clean_tokens: Int[Tensor, "batch pos"]
    corrupted_tokens: Int[Tensor, "batch pos"]
    clean_cache: Mapping[str, Tensor]
    corrupted_cache: Mapping[str, Tensor]

    @property
    def arguments(self) -> tuple[Any, Int[Tensor, "batch pos"], Any, Any]:
        """The four arguments that every sweep begins with."""
        return self.model, self.corrupted_tokens, self.clean_cache, self.corrupted_cache


def run_pair(model: Any, clean_tokens: Tensor, corrupted_tokens: Tensor) -> Runs:
    """Both prompts run through `model`, everything cached."""
    with torch.no_grad():
        _, clean_cache = model.run_with_cache(clean_tokens)
        _, corrupted_cache = model.run_with_cache(corrupted_tokens)
    return Runs(model, clean_tokens, corrupted_tokens, clean_cache, corrupted_cache)


def own_model(directory: str | Path, dtype: torch.dtype) -> Any:
    """The Hugging Face model in `directory`, as TransformerLens wants it."""
    # The default implementation of experts knows no float64.
    return AutoModelForCausalLM.from_pretrained(
        directory, dtype=dtype, attn_implementation="eager", experts_implementation="eager"
    ).eval()


def bridge_of(directory: str, own: Any, folded: bool = True) -> TransformerBridge:
    """`own` in a bridge in compatibility mode, in evaluation; `folded=False` keeps norm weights apart."""
    model = TransformerBridge.boot_transformers(directory, hf_model=own, device="cpu", dtype=own.dtype)
    model.enable_compatibility_mode(disable_warnings=True, no_processing=not folded)
    model.requires_grad_(False)
    return model.eval()


@lru_cache(maxsize=64)
def family_model(family: str, dtype: torch.dtype = torch.float64, folded: bool = True) -> TransformerBridge:
    """A random model of `family`, in compatibility mode; `folded=False` keeps norm weights apart."""
    with tempfile.TemporaryDirectory() as directory:
        write_family(family, Path(directory))
        return bridge_of(directory, own_model(directory, dtype), folded)


@lru_cache(maxsize=64)
def family_runs(
    family: str,
    dtype: torch.dtype = torch.float64,
    *,
    batch: int = 2,
    differences: tuple[int, ...] = (4, 6),
    n_tokens: int = 9,
    folded: bool = True,
) -> Runs:
    """Random prompts whose tokens differ at the positions `differences` and nowhere else."""
    prompts = random_prompts(batch, differences, n_tokens)
    return run_pair(family_model(family, dtype, folded), *prompts)


def random_prompts(batch: int, differences: tuple[int, ...], n_tokens: int) -> tuple[Tensor, Tensor]:
    """Clean and corrupted tokens that differ at the positions `differences` and nowhere else."""
    generator = torch.Generator().manual_seed(1)
    clean = torch.randint(1, VOCABULARY_SIZE, (batch, n_tokens), generator=generator)
    corrupted = clean.clone()
    for position in differences:
        corrupted[:, position] = 1 + (clean[:, position] + 60) % (VOCABULARY_SIZE - 1)
    return clean, corrupted


@lru_cache(maxsize=16)
def computed_in_float64(family: str, *, folded: bool = True) -> Runs:
    """The default `family_runs` of a model that keeps float64 where its own code would drop to float32.

    Norms, attention scores and softmax then hide no error between 1e-15 and 1e-7.
    """
    model = family_model.__wrapped__(family, folded=folded)
    own = type(model)

    def forward(model: Any, *arguments: Any, **options: Any) -> Any:
        with KeepFloat64():
            return own.forward(model, *arguments, **options)

    # A class of its own: a forward on the model itself would be somebody's hook.
    model.__class__ = type(own.__name__, (own,), {"forward": forward})
    return run_pair(model, *random_prompts(batch=2, differences=(4, 6), n_tokens=9))


class KeepFloat64(TorchFunctionMode):
    """Inside this context a float64 tensor is never converted to float32."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if args and isinstance(args[0], Tensor) and args[0].dtype == torch.float64:
            if function is Tensor.float:
                return args[0]
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
            if kwargs.get("dtype") is torch.float32:
                kwargs["dtype"] = torch.float64
        return function(*args, **kwargs)


def last_logit_difference(logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, ""]:
    """Token 7 against token 11 at the last position, averaged over the batch."""
    return (logits[:, -1, 7] - logits[:, -1, 11]).mean()


def baseline(runs: Runs, metric: Metric = last_logit_difference) -> float:
    """The metric of the corrupted run with nothing patched."""
    with torch.no_grad():
        return float(metric(runs.model(runs.corrupted_tokens)))


def causal(runs: Runs) -> Bool[Tensor, "layer head layer head"]:
    """True where the destination lies in a later layer than the source."""
    n_layers, n_heads = runs.model.cfg.n_layers, runs.model.cfg.n_heads
    layer = torch.arange(n_layers)
    later = layer[:, None, None, None] < layer[None, None, :, None]
    return later.expand(n_layers, n_heads, n_layers, n_heads)


def sampled_edges(runs: Runs, seed: str, number: int = 6) -> list[Edge]:
    """Random causal edges, among them always one that skips layers and one into the last head."""
    n_layers, n_heads = runs.model.cfg.n_layers, runs.model.cfg.n_heads
    edges = [Edge(0, 1, n_layers - 1, 0), Edge(n_layers - 2, 0, n_layers - 1, n_heads - 1)]
    rest = [Edge(*edge) for edge in causal(runs).nonzero().tolist() if Edge(*edge) not in edges]
    return edges + random.Random(seed).sample(rest, number - len(edges))
