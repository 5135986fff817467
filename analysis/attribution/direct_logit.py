"""Direct logit attribution: which component wrote the answer.

The final residual stream is a sum of what the components wrote, and a logit is linear in it once
the final norm's scale is taken from the run: component c contributes

    attribution[c] = (write_c / scale) @ (W_U[:, answer] - W_U[:, incorrect])

(with the mean over d_model taken off `write_c` first where the final norm is a LayerNorm). The
unembedding bias belongs to no component, so all parts together give
``logit[answer] - logit[incorrect] - (b_U[answer] - b_U[incorrect])``. Where the model caps its
final logits (Gemma 2), this is the logit before the cap, the only one that is a sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens import ActivationCache
from transformer_lens.model_bridge import TransformerBridge

from analysis.attribution.residual import (
    Positions,
    as_slice,
    at_positions,
    decompose,
    final_residual,
    narrowed,
    needed,
    tolerance,
)
from analysis.errors import AnswerError, PathscopeError, PromptError, UnsupportedModelError
from analysis.experiment import AnswerRole, single_token, tokenize
from analysis.requests import UNITS, Unit

Prompts: TypeAlias = str | Sequence[str] | Int[Tensor, "*batch pos"]
Tokens: TypeAlias = str | int | np.integer | Int[Tensor, "*tokens"]

#: Block parts whose write is neither attention nor MLP, as `TransformerBridge.layer_types` names them.
_HYBRID_PARTS = frozenset({"mamba", "ssm", "mixer", "linear_attn"})


@dataclass
class DirectLogitAttribution:
    """Contributions to a logit, or to a logit difference, in logits.

    `attribution[c]` belongs to `labels[c]`; its other axes are ``batch pos``, without `pos` where
    one position was chosen and without `batch` where the cache had none. Positive values push
    towards the answer. `unit` is "component", "layer" or "head"; for "layer" the entries are
    cumulative.
    """

    attribution: Float[Tensor, "component *batch_and_pos"]
    labels: list[str]
    unit: Unit

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` components with the highest attribution, averaged over batch and positions.

        >>> parts = DirectLogitAttribution(torch.tensor([0.5, -2.0, 1.5]), ["embed", "L0H0", "L0H1"], "head")
        >>> parts.top(2)
        [('L0H1', 1.5), ('embed', 0.5)]
        """
        means = self.attribution.reshape(len(self.labels), -1).mean(dim=1)
        values, indices = means.topk(min(k, len(self.labels)))
        return [(self.labels[i], value) for i, value in zip(indices.tolist(), values.tolist(), strict=True)]


@torch.no_grad()
def direct_logit_attribution(
    model: Any,
    input: Prompts | None = None,
    answer_tokens: Tokens | None = None,
    incorrect_tokens: Tokens | None = None,
    *,
    unit: Unit = "component",
    pos: Positions = -1,
    cache: ActivationCache | None = None,
) -> DirectLogitAttribution:
    """Split the logit of `answer_tokens`, or the difference to `incorrect_tokens`, into its parts.

    `model` is a `TransformerBridge` in compatibility mode or a `HookedTransformer`; it runs on
    `input` once, unless the `cache` of an earlier run is given. Tokens are a string that is one
    token, an id, or a tensor of ids: scalar, ``[batch]``, ``[pos]`` (where that differs from the
    batch size) or ``[batch pos]``; those of `incorrect_tokens` are broadcast to `answer_tokens`.
    `pos` is an index (drops the axis), a tuple (the arguments of a slice), a list, tensor or array
    of indices, or None for every position.

    `unit` is "component" (embeddings, each attention and MLP output), "layer" (the stream before,
    within and after each block; one entry per block where attention and MLP run in parallel) or
    "head" (each head's write without `b_O`, and a remainder). Components, heads with remainder,
    and the last layer alone give the logit (difference) minus the unembedding bias (difference).
    Where a block norms its attention output, a head's write is its share of the normed output.

    Raises `ValueError` where `unit` is unknown, an answer, or both `input` and `cache`, are
    missing, a token or position does not exist, or a bridge is not in compatibility mode or its
    final norm not folded into `W_U`; `NotImplementedError` on hybrid blocks (Mamba, state space,
    linear attention) and where logits are read in another way than by final norm and unembedding.
    """
    if unit not in UNITS:
        raise PathscopeError(f"unit is {unit!r}, and must be one of {', '.join(map(repr, UNITS))}.")
    if answer_tokens is None:
        raise AnswerError("answer_tokens is None. Give a string that is one token, an id or a tensor of ids.")
    _require_readable(model)
    positions = as_slice(pos)
    targets = [_token_ids(model, answer_tokens, "answer")]
    if incorrect_tokens is not None:
        targets.append(_token_ids(model, incorrect_tokens, "foil"))
    logits = None
    if cache is None:
        names = needed(model, unit)
        logits, cache = model.run_with_cache(
            _input_ids(model, input), names_filter=lambda name: name in names
        )
    cache = narrowed(model, cache, unit, positions)
    targets = _aligned(targets, final_residual(cache).shape[:-1])
    if logits is not None:
        _require_plain_readout(model, cache, at_positions(logits, positions, -2), targets)
    stack, labels = decompose(model, cache, unit)
    attribution = cache.logit_attrs(stack, *targets, has_batch_dim=cache.has_batch_dim)
    return DirectLogitAttribution(
        attribution[..., 0] if positions.mode == "int" else attribution, labels, unit
    )


def _require_readable(model: Any) -> None:
    """Raise unless every logit is the final norm's output, without gain, times `W_U` plus `b_U`."""
    if isinstance(model, TransformerBridge):
        hybrid = sorted({kind for kind in model.layer_types() if _HYBRID_PARTS & set(kind.split("+"))})
        if hybrid:
            raise UnsupportedModelError(
                f"Blocks of type {', '.join(hybrid)} write to the residual stream by more than attention "
                "and MLP, which direct logit attribution does not split. Use an attention-only, GPT, "
                "Llama or similar model."
            )
        if not getattr(model, "compatibility_mode", False):
            raise PathscopeError(
                "This TransformerBridge is not in compatibility mode, so its final norm is not folded into "
                "W_U and attributions would be wrong. Call model.enable_compatibility_mode() first."
            )
        if model.training:
            raise PathscopeError(
                "The model is in training mode, so dropout may be on. Call model.eval() first."
            )
    norm = getattr(model, "ln_final", None)
    weight, bias = _own(norm, "weight", "w"), _own(norm, "bias", "b")
    neutral = 0.0 if getattr(model.cfg, "rmsnorm_uses_offset", False) else 1.0
    if (weight is not None and bool((weight != neutral).any())) or (bias is not None and bool(bias.any())):
        raise PathscopeError(
            "The final norm's weight and bias are not folded into W_U and b_U, so attributions would be "
            "wrong. Load the model with fold_ln=True, or call enable_compatibility_mode() on a fresh bridge "
            "without switching its processing off."
        )


def _own(norm: Any, *names: str) -> Tensor | None:
    """The first of `names` that `norm` has as a tensor; the two model classes name them differently."""
    found = (getattr(norm, name, None) for name in names)
    return next((value for value in found if isinstance(value, Tensor)), None)


def _input_ids(model: Any, input: Prompts | None) -> Int[Tensor, "batch pos"]:
    """Token ids to run; prompts of unequal length are refused, since `pos` would meet the padding."""
    if input is None:
        raise PathscopeError("There is nothing to attribute. Give an input to run, or the cache of a run.")
    if isinstance(input, Tensor):
        ids = input[None] if input.ndim == 1 else input
    else:
        rows = [tokenize(model, text) for text in ([input] if isinstance(input, str) else input)]
        lengths = sorted({row.shape[1] for row in rows})
        if len(lengths) > 1:
            raise PromptError(
                f"The prompts have between {lengths[0]} and {lengths[-1]} tokens; a batch needs one length, "
                "or positions of the shorter ones would be padding. Run them one by one."
            )
        ids = torch.cat(rows) if rows else torch.empty(0, 0)
    if ids.ndim != 2 or not ids.numel():
        raise PromptError(f"input has the shape {list(ids.shape)}, and must be [batch, pos] and not empty.")
    if ids.shape[1] > model.cfg.n_ctx:
        raise PromptError(f"input has {ids.shape[1]} tokens, and the model reads at most {model.cfg.n_ctx}.")
    return ids


def _token_ids(model: Any, tokens: Tokens, role: AnswerRole) -> Int[Tensor, "*tokens"]:
    if isinstance(tokens, str):
        ids = torch.tensor(single_token(model, tokens, role))
    elif isinstance(tokens, int | np.integer) and not isinstance(tokens, bool):
        ids = torch.tensor(int(tokens))
    elif isinstance(tokens, Tensor) and not tokens.is_floating_point() and tokens.dtype != torch.bool:
        ids = tokens.long()
    else:
        raise AnswerError(
            f"The {role} is {tokens!r}. Give a string that is one token, an id or a tensor of ids."
        )
    d_vocab = model.W_U.shape[-1]
    outside = ids[(ids < 0) | (ids >= d_vocab)]
    if outside.numel():
        raise AnswerError(f"The {role} has the id {int(outside[0])}; ids go from 0 to {d_vocab - 1}.")
    return ids.to(model.W_U.device)


def _aligned(targets: list[Tensor], shape: torch.Size) -> list[Tensor]:
    """`targets` with axes that broadcast against ``[*batch pos]``, and all of one shape."""
    aligned = []
    for ids in targets:
        batched = len(shape) == 2 and ids.ndim == 1 and len(ids) == shape[0]
        ids = ids[:, None] if batched else ids
        try:
            torch.broadcast_shapes(ids.shape, shape)
            fits = ids.ndim <= len(shape) and torch.broadcast_shapes(ids.shape, shape) == shape
        except RuntimeError:
            fits = False
        if not fits:
            raise AnswerError(
                f"The tokens have the shape {list(ids.shape)} and the run has {list(shape)} (batch and "
                "positions). Give one id, one per prompt, one per position or one for each."
            )
        aligned.append(ids)
    return list(torch.broadcast_tensors(*aligned))


def _require_plain_readout(
    model: Any, cache: ActivationCache, logits: Float[Tensor, "batch pos d_vocab"], targets: list[Tensor]
) -> None:
    """Raise where `logits` are not what final norm, unembedding and softcap make of the stream."""
    for ids in targets:
        read = cache.logit_attrs(final_residual(cache)[None], ids)[0] + model.b_U[ids]
        cap = getattr(model.cfg, "output_logits_soft_cap", None) or -1.0
        if cap > 0:
            read = cap * torch.tanh(read / cap)
        own = logits.gather(-1, ids.expand(logits.shape[:-1])[..., None])[..., 0]
        gap = float((read - own).abs().max())
        if not gap <= tolerance(logits) * float(logits.abs().max()):
            raise UnsupportedModelError(
                f"This model's logits differ by up to {gap:.3g} from what its final norm and unembedding "
                "make of the residual stream, so it reads them in another way and attributions would not "
                "add up."
            )
