"""Direct path patching the slow way: three full forward passes per edge, for any model as it stands.

The model does all arithmetic itself: it norms, projects, clips, attends, and whatever hooks,
forward hooks, adapters, parametrizations or other norms sit on it take part in every run. To patch
the path from head A into component c of head B,

1. the corrupted prompt runs with A's write added to what B's block norms (exact) or to what that
   norm gives out (frozen), and of that run only c of B's layer is kept, as it left the projection;
2. it runs again with B's own part of the kept c in place, and of that run only B's own `hook_z` is kept:
   other heads may see it through a shared key, value or norm, and none of them is let to say so;
3. it runs a third time with only B's z put in place, and is read.

Prompts are never repeated in the batch, so that a hook written for a prompt meets that prompt.
Nothing here is shared with `analysis`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tests.runs import Edge, Runs

#: Largest difference from the reference, as a share of the largest effect, of a float64 model
#: that computes in float64 throughout (see `tests.runs.computed_in_float64`).
FLOAT64_TOLERANCE = 1e-9
#: Largest absolute difference, in logits, of a float64 model of a family whose own norms, scores
#: or softmax are computed in float32: noise of 6e-8 per operation, some tens of operations deep.
FLOAT32_INSIDE_TOLERANCE = 5e-6


def patched_logits(
    runs: Runs, edge: Edge, component: str, layer_norm: str, *, positions: Sequence[int] | None = None
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits of the corrupted run in which B's component c alone sees A's clean write.

    frozen: `c = c of (LN1(resid_pre_corrupted) + delta / ln1_scale_corrupted)`;
    exact: `c = c of LN1(resid_pre_corrupted + delta)`, both as the model makes c of what LN1 gives.
    `positions` are the token positions at which the patch is made, all of them if None.
    """
    delta = head_write(runs, runs.clean_cache, edge) - head_write(runs, runs.corrupted_cache, edge)
    if positions is not None:
        kept = torch.zeros_like(delta)
        kept[:, list(positions)] = 1.0
        delta = delta * kept
    return logits_with(runs, delta, edge.dl, edge.dh, component, layer_norm)


def logits_with(
    runs: Runs,
    delta: Float[Tensor, "batch pos d_model"],
    layer: int,
    head: int,
    component: str,
    layer_norm: str,
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits of the corrupted run in which component c of head B alone sees `delta` in the stream."""
    z = z_with(runs, delta, layer, head, component, layer_norm)
    with torch.no_grad():
        return runs.model.run_with_hooks(
            runs.corrupted_tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", _put(z, head))]
        )


def z_with(
    runs: Runs,
    delta: Float[Tensor, "batch pos d_model"],
    layer: int,
    head: int,
    component: str,
    layer_norm: str,
) -> Float[Tensor, "batch pos head d_head"]:
    """z of B's layer in the corrupted run with `delta` seen by component c of B; only B's own z counts."""
    return _attention_with(runs, "z", delta, layer, head, component, layer_norm)


def pattern_with(
    runs: Runs,
    delta: Float[Tensor, "batch pos d_model"],
    layer: int,
    head: int,
    component: str,
) -> Float[Tensor, "batch query key"]:
    """B's attention probabilities in the corrupted run with `delta` seen by component c of B (exact)."""
    return _attention_with(runs, "pattern", delta, layer, head, component, "exact")[:, head]


def _attention_with(
    runs: Runs, wanted: str, delta: Tensor, layer: int, head: int, component: str, layer_norm: str
) -> Tensor:
    attn = f"blocks.{layer}.attn"
    with _patched_input(runs, layer, delta, layer_norm):
        projected = _read(runs, f"{attn}.hook_{component}")
    # Query heads share keys and values in groups of consecutive heads.
    own = head * projected.shape[2] // runs.model.cfg.n_heads
    return _read(runs, f"{attn}.hook_{wanted}", (f"{attn}.hook_{component}", _put(projected, own)))


def _put(value: Float[Tensor, "batch pos head d_head"], head: int) -> Callable[..., Tensor]:
    """A hook that puts `value` in the place of one head, and leaves all others."""

    def put(activation: Tensor, hook: Any) -> Tensor:
        activation = activation.clone()
        activation[:, :, head] = value[:, :, head]
        return activation

    return put


def head_write(runs: Runs, cache: Mapping[str, Tensor], edge: Edge) -> Float[Tensor, "batch pos d_model"]:
    """What the source head adds to the residual stream in the run that `cache` holds.

    Its z alone through the model's own output projection, less what that gives for nothing. Where
    the block normalises its attention output, the head's share of it under that run's own scale:
    `(z @ W_O[A]) / ln1_post_scale * ln1_post_weight`. Where it adds a multiple of that output, so much
    of the head's share.
    """
    block = runs.model.blocks[edge.sl]
    write = _projected(block.attn, cache[f"blocks.{edge.sl}.attn.hook_z"], edge.sh)
    write = write * getattr(block, "residual_contribution_scale", 1.0)
    if not hasattr(block, "ln1_post"):
        return write
    norm = getattr(block.ln1_post, "original_component", block.ln1_post)
    offset = 1.0 if type(norm).__name__.startswith("Gemma") else 0.0
    return write / cache[f"blocks.{edge.sl}.ln1_post.hook_scale"] * (offset + norm.weight)


def _projected(
    attn: Any, z: Float[Tensor, "batch pos head d_head"], head: int
) -> Float[Tensor, "batch pos d_model"]:
    if not hasattr(attn, "o"):  # a `HookedTransformer` has the weight alone
        return z[:, :, head] @ attn.W_O[head]
    alone = torch.zeros_like(z)
    alone[:, :, head] = z[:, :, head]
    # The module inside the bridge, as it stands: an adapter on it writes too, while the hooks
    # around it have already acted on the z that was cached.
    project = attn.o.original_component
    with torch.no_grad():
        return project(alone.flatten(2)) - project(torch.zeros_like(alone).flatten(2))


@contextmanager
def _patched_input(runs: Runs, layer: int, delta: Tensor, layer_norm: str) -> Iterator[None]:
    """While this holds, `layer`'s attention reads the stream with `delta` in it."""
    norm = getattr(runs.model.blocks[layer], "ln1", None)
    reader = runs.model.blocks[layer].attn if norm is None else norm

    def add_before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (args[0] + delta, *args[1:]), kwargs
        return args, kwargs | {"hidden_states": kwargs["hidden_states"] + delta}

    if layer_norm == "exact" or norm is None:
        handle = reader.register_forward_pre_hook(add_before, with_kwargs=True)
    else:
        scale = runs.corrupted_cache[_scale(layer)] if _has_scale(runs, layer) else 1.0
        handle = reader.register_forward_hook(lambda module, args, normed: normed + delta / scale)
    try:
        yield
    finally:
        handle.remove()


def _scale(layer: int) -> str:
    return f"blocks.{layer}.ln1.hook_scale"


def _has_scale(runs: Runs, layer: int) -> bool:
    return _scale(layer) in runs.corrupted_cache


def _read(runs: Runs, wanted: str, *hooks: tuple[str, Callable[..., Tensor]]) -> Tensor:
    """Activation `wanted` of the corrupted run, after every hook on it, those of `hooks` among them."""
    found: dict[str, Tensor] = {}

    def keep(activation: Tensor, hook: Any) -> None:
        found[wanted] = activation.clone()

    with torch.no_grad():
        runs.model.run_with_hooks(runs.corrupted_tokens, fwd_hooks=[*hooks, (wanted, keep)])
    return found[wanted]
