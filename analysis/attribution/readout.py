"""Whether a model's logits are what direct logit attribution splits: final norm times unembedding."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import ActivationCache
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities import Slice

from analysis.attribution.residual import final_residual, narrowed, needed
from analysis.decoder import check_evaluation_mode, check_kind, softcapped
from analysis.errors import AnswerError, PathscopeError, UnsupportedModelError
from analysis.metrics import ULPS, logit_scale, logit_spread
from analysis.requests import Unit
from analysis.sweep import foreign_hooks

#: Block parts whose write is neither attention nor MLP, as `TransformerBridge.layer_types` names them.
_HYBRID_PARTS = frozenset({"mamba", "ssm", "mixer", "linear_attn", "conv", "time_mix", "channel_mix"})

#: Positions whose logits are recomputed at once, which bounds the memory of a long run.
_POSITIONS_AT_ONCE = 256


def require_readable(model: Any) -> None:
    """Refuse a model whose parts do not promise logits of final norm without gain, times `W_U`, plus `b_U`.

    Raises `UnsupportedModelError` for hybrid blocks and a projection before `W_U`; `PathscopeError` for a
    bridge outside compatibility mode, training mode, and a final norm that is not folded.
    """
    if isinstance(model, TransformerBridge):
        _require_attention_and_mlp(model)
        if not getattr(model, "compatibility_mode", False):
            raise PathscopeError(
                "This TransformerBridge is not in compatibility mode, so its final norm is not folded into "
                "W_U and attributions would be wrong. Call model.enable_compatibility_mode() first."
            )
    check_kind(model)
    check_evaluation_mode(model)
    if model.cfg.d_model != model.W_U.shape[0]:
        raise UnsupportedModelError(
            f"This model's residual stream has {model.cfg.d_model} dimensions and its unembedding reads "
            f"{model.W_U.shape[0]}: a projection lies between, which direct logit attribution does not read "
            "through. Choose a model without one (for OPT, word_embed_proj_dim equal to hidden_size)."
        )
    norm = getattr(model, "ln_final", None)
    weight, bias = _own(norm, "weight", "w"), _own(norm, "bias", "b")
    neutral = 0.0 if getattr(model.cfg, "rmsnorm_uses_offset", False) else 1.0
    if (weight is not None and bool((weight != neutral).any())) or (bias is not None and bool(bias.any())):
        raise PathscopeError(
            "The final norm's weight and bias are not folded into W_U and b_U, so attributions would be "
            "wrong. Load the model with fold_ln=True, or call enable_compatibility_mode() on a fresh bridge "
            "without switching its processing off. Where that was done, this family keeps its norms apart: "
            "choose another model."
        )


def _require_attention_and_mlp(model: TransformerBridge) -> None:
    kinds = set(model.layer_types())
    # A block of which nothing has a name is no less foreign: RecurrentGemma shows its hooks alone.
    hybrid = {kind for kind in kinds if _HYBRID_PARTS & set(kind.split("+")) or not _has_named_part(kind)}
    if hybrid:
        raise UnsupportedModelError(
            f"Blocks of type {', '.join(sorted(hybrid))} make this a hybrid architecture: they write to the "
            "residual stream by more than attention and MLP, which direct logit attribution does not split. "
            "Use an attention-only, GPT, Llama or similar model."
        )


def _has_named_part(kind: str) -> bool:
    return any(not part.startswith("hook_") and part != "unknown" for part in kind.split("+"))


def _own(norm: Any, *names: str) -> Tensor | None:
    """The first of `names` that `norm` has as a tensor; the two model classes name them differently."""
    found = (getattr(norm, name, None) for name in names)
    return next((value for value in found if isinstance(value, Tensor)), None)


def probed(
    model: Any, unit: Unit, shape: torch.Size
) -> tuple[Float[Tensor, "batch pos d_vocab"], ActivationCache]:
    """The logits and activations of a few tokens, to judge a model whose own logits are not at hand.

    Of as many tokens as a run of `shape` has where the model is made for such a run: beside somebody's hooks,
    or where it takes no fewer.
    """
    whole = torch.Size((1, *shape)[-2:])
    if foreign_hooks(model):
        return _probed(model, unit, whole)
    try:
        return _probed(model, unit, torch.Size((1, min(4, model.cfg.n_ctx))))
    except RuntimeError:
        return _probed(model, unit, whole)


def _probed(
    model: Any, unit: Unit, shape: torch.Size
) -> tuple[Float[Tensor, "batch pos d_vocab"], ActivationCache]:
    batch, n_positions = shape
    d_vocab = min(model.cfg.d_vocab, model.W_U.shape[-1])
    # Away from the first ids, where special tokens are, which a model may take for padding.
    row = torch.tensor([d_vocab * (1 + position % 4) // 5 for position in range(n_positions)])
    tokens = row.expand(batch, -1)
    names = needed(model, unit)
    logits, cache = model.run_with_cache(tokens.to(model.W_U.device), names_filter=lambda name: name in names)
    return logits, narrowed(model, cache, unit, Slice(None))


def require_plain_readout(
    model: Any, cache: ActivationCache, logits: Float[Tensor, "batch pos d_vocab"]
) -> None:
    """Raise `UnsupportedModelError` where `logits` are not what norm, unembedding and cap make of the stream.

    Judged logit by logit, against the spread of that row's ordinary logits: a huge entry excuses no
    other, and an entry that is not finite (a forbidden token) is compared with nothing.
    """
    final = cache.apply_ln_to_stack(final_residual(cache)[None], layer=-1, has_batch_dim=True)[0]
    cap = getattr(model.cfg, "output_logits_soft_cap", None) or -1.0
    rows = zip(*(rows.flatten(0, 1).split(_POSITIONS_AT_ONCE) for rows in (final, logits)), strict=True)
    for stream, own in rows:
        read = stream @ model.W_U + model.b_U
        read = softcapped(read, cap) if cap > 0 else read
        rounding = ULPS * torch.finfo(own.dtype).eps * torch.maximum(own.abs(), logit_scale(own)[:, None])
        allowed = tolerance(own) * logit_spread(own)[:, None] + rounding
        off = torch.where(torch.isfinite(own), (read - own).abs(), 0.0)
        if not bool((off <= allowed).logical_or(off == 0).all()):
            raise UnsupportedModelError(
                f"This model's logits differ by up to {float(off.max()):.3g} from what its final norm and "
                "unembedding make of the residual stream, so it reads them in another way and attributions "
                "would not add up. Choose a model that neither scales its logits nor changes them by a hook."
            )


def require_finite(logits: Float[Tensor, "*rows d_vocab"], targets: list[Tensor]) -> None:
    """Raise `AnswerError` where the logit of an answer or foil, of whatever shape, is not finite."""
    for role, ids in zip(("answer", "foil"), targets, strict=False):
        chosen = logits[..., ids.unique()]
        bad = chosen[~torch.isfinite(chosen)]
        if bad.numel():
            raise AnswerError(
                f"The logit of the {role} is {float(bad[0])}, which no sum of parts can be: something in "
                "this model forbids the token. Choose another, or remove what forbids it."
            )


def tolerance(values: Tensor) -> float:
    """The share of `values` that rounding explains in their precision, and a forgotten part does not."""
    return max(1e-3, torch.finfo(values.dtype).eps ** 0.5)
