"""Direct path patching the slow way: one pair of full forward passes per edge, for any family.

The specification in so many words. To patch the path from head A into component c of head B,
the corrupted prompt runs once with B's `hook_q`, `hook_k` or `hook_v` replaced, which also
disturbs every head that shares a grouped key or value; of that run only B's own `hook_z` is
kept. A second corrupted run puts that one head's z back and is read. Nothing here is shared
with `analysis`: arithmetic, weights and hooks are the model's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.overrides import TorchFunctionMode
from transformer_lens.model_bridge import TransformerBridge

from tests.families import VOCABULARY_SIZE, write_family

# The test models are far too small to share between threads; waiting for each other is all
# that threads would do, above all while other programs use the cores.
torch.set_num_threads(1)

#: Largest difference from the reference, as a share of the largest effect, of a float64 model
#: that computes in float64 throughout (see `computed_in_float64`).
FLOAT64_TOLERANCE = 1e-9
#: The same for a float64 model of a family whose own norms, softmax or rotary tables are
#: computed in float32: noise of 6e-8 per operation, some tens of operations deep.
FLOAT32_INSIDE_TOLERANCE = 2e-6

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


@lru_cache(maxsize=64)
def family_model(family: str, dtype: torch.dtype = torch.float64, folded: bool = True) -> TransformerBridge:
    """A random model of `family`, in compatibility mode; `folded=False` keeps norm weights apart."""
    with tempfile.TemporaryDirectory() as directory:
        write_family(family, Path(directory))
        model = TransformerBridge.boot_transformers(directory, device="cpu", dtype=dtype)
    model.enable_compatibility_mode(disable_warnings=True, no_processing=not folded)
    model.requires_grad_(False)
    return model.eval()


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
    generator = torch.Generator().manual_seed(1)
    clean = torch.randint(1, VOCABULARY_SIZE, (batch, n_tokens), generator=generator)
    corrupted = clean.clone()
    for position in differences:
        corrupted[:, position] = 1 + (clean[:, position] + 60) % (VOCABULARY_SIZE - 1)
    return run_pair(family_model(family, dtype, folded), clean, corrupted)


@lru_cache(maxsize=16)
def computed_in_float64(family: str) -> Runs:
    """`family_runs` of a model that keeps float64 where its own code would drop to float32.

    Norms, attention scores and softmax then hide no error between 1e-15 and 1e-7.
    """
    runs = family_runs(family)
    model = family_model.__wrapped__(family)
    forward = model.forward

    def forward_in_float64(*arguments: Any, **options: Any) -> Any:
        with _KeepFloat64():
            return forward(*arguments, **options)

    model.forward = forward_in_float64
    return run_pair(model, runs.clean_tokens, runs.corrupted_tokens)


class _KeepFloat64(TorchFunctionMode):
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


def patched_logits(
    runs: Runs, edge: Edge, component: str, layer_norm: str, *, positions: Sequence[int] | None = None
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits of the corrupted run in which B's component c alone sees A's clean write.

    frozen: `c = c_corrupted + (delta / ln1_scale_corrupted) @ W_c[B]`;
    exact: `c = LN1(resid_pre_corrupted + delta) @ W_c[B] + b_c[B]`, with LN1's own weights.
    `positions` are the token positions at which the patch is made, all of them if None.
    """
    delta = head_write(runs, runs.clean_cache, edge) - head_write(runs, runs.corrupted_cache, edge)
    if positions is not None:
        kept = torch.zeros_like(delta)
        kept[:, list(positions)] = 1.0
        delta = delta * kept
    attn = runs.model.blocks[edge.dl].attn
    weight, bias = getattr(attn, f"W_{component.upper()}"), getattr(attn, f"b_{component.upper()}")
    scale = runs.corrupted_cache[f"blocks.{edge.dl}.ln1.hook_scale"] if _has_norm(runs, edge.dl) else 1.0
    column = edge.dh * weight.shape[0] // runs.model.cfg.n_heads

    def patch(value: Tensor, hook: Any) -> Tensor:
        value = value.clone()
        shared = edge.dh * value.shape[2] // runs.model.cfg.n_heads
        if layer_norm == "frozen":
            value[:, :, shared] += delta / scale @ weight[column]
        else:
            resid = runs.corrupted_cache[f"blocks.{edge.dl}.hook_resid_pre"] + delta
            own_bias = 0.0 if bias is None else bias[column]
            value[:, :, shared] = _ln1(runs, edge.dl, resid) @ weight[column] + own_bias
        return value

    z = _read(runs, f"blocks.{edge.dl}.attn.hook_{component}", patch, f"blocks.{edge.dl}.attn.hook_z")

    def restore(value: Tensor, hook: Any) -> Tensor:
        value = value.clone()
        value[:, :, edge.dh] = z[:, :, edge.dh]
        return value

    with torch.no_grad():
        return runs.model.run_with_hooks(
            runs.corrupted_tokens, fwd_hooks=[(f"blocks.{edge.dl}.attn.hook_z", restore)]
        )


def head_write(runs: Runs, cache: Mapping[str, Tensor], edge: Edge) -> Float[Tensor, "batch pos d_model"]:
    """What the source head adds to the residual stream in the run that `cache` holds.

    Where the block normalises its attention output, the head's share of it under that run's
    own scale: `(z @ W_O[A]) / ln1_post_scale * ln1_post_weight`.
    """
    block = runs.model.blocks[edge.sl]
    write = cache[f"blocks.{edge.sl}.attn.hook_z"][:, :, edge.sh] @ block.attn.W_O[edge.sh]
    if not hasattr(block, "ln1_post"):
        return write
    norm = getattr(block.ln1_post, "original_component", block.ln1_post)
    offset = 1.0 if type(norm).__name__.startswith("Gemma") else 0.0
    return write / cache[f"blocks.{edge.sl}.ln1_post.hook_scale"] * (offset + norm.weight)


def _read(runs: Runs, patched: str, patch: Callable[..., Tensor], wanted: str) -> Tensor:
    kept: list[Tensor] = []
    with torch.no_grad():
        runs.model.run_with_hooks(
            runs.corrupted_tokens,
            fwd_hooks=[(patched, patch), (wanted, lambda value, hook: kept.append(value.clone()))],
        )
    return kept[0]


def _has_norm(runs: Runs, layer: int) -> bool:
    return f"blocks.{layer}.ln1.hook_scale" in runs.corrupted_cache


def _ln1(runs: Runs, layer: int, resid: Float[Tensor, "batch pos d_model"]) -> Tensor:
    """LN1 of `resid` by its formula: centred unless it is a root-mean-square norm."""
    if not _has_norm(runs, layer):
        return resid
    bridge = runs.model.blocks[layer].ln1
    norm = getattr(bridge, "original_component", bridge)
    if "RMS" not in type(norm).__name__:
        resid = resid - resid.mean(-1, keepdim=True)
    normalised = resid / (resid.square().mean(-1, keepdim=True) + _epsilon(norm)).sqrt()
    weight = getattr(norm, "weight", getattr(norm, "w", None))
    if weight is not None:
        normalised = normalised * (weight + 1.0 if type(norm).__name__.startswith("Gemma") else weight)
    bias = getattr(norm, "bias", getattr(norm, "b", None))
    return normalised if bias is None else normalised + bias


def _epsilon(norm: torch.nn.Module) -> float:
    return float(getattr(norm, "eps", None) or norm.variance_epsilon)
