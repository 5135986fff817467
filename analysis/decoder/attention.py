"""Reads one attention layer: its projections, and what happens between them and the pattern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.decoder.attending import Attention, Rotary
from analysis.decoder.fields import (
    UnknownArchitecture,
    detached,
    first,
    multiplier_of,
    own,
    own_config,
    positive,
)
from analysis.decoder.norm import Norm, read_norm


def read_attention(model: Any, layer: int, cache: Mapping[str, Tensor]) -> Attention:
    """The attention layer of block `layer`; `cache` as for `read_decoder`.

    W_O and b_O are what a head adds to the residual stream: scaled where the model scales that. Raises
    `UnknownArchitecture`.
    """
    module, cfg = model.blocks[layer].attn, model.cfg
    if module.W_Q.ndim != 3 or module.W_Q.shape[0] != cfg.n_heads:
        raise UnknownArchitecture(f"W_Q of block {layer} has shape {tuple(module.W_Q.shape)}")
    if getattr(own(module), "sinks", None) is not None:
        raise UnknownArchitecture(f"block {layer} has attention sinks")
    multiplier = multiplier_of(model, "residual_multiplier")
    return Attention(
        W_Q=module.W_Q.detach(),
        W_K=module.W_K.detach(),
        W_V=module.W_V.detach(),
        W_O=_times(multiplier, module.W_O),
        b_Q=detached(getattr(module, "b_Q", None)),
        b_K=detached(getattr(module, "b_K", None)),
        b_V=detached(getattr(module, "b_V", None)),
        b_O=None if (b_O := getattr(module, "b_O", None)) is None else _times(multiplier, b_O),
        scale=_scale(module, layer),
        softcap=positive(getattr(cfg, "attn_scores_soft_cap", None)),
        window=_window(module, cfg, layer),
        rotary=_read_rotary(module, cfg, layer, cache),
        q_norm=_read_head_norm(module, "q_norm", cfg),
        k_norm=_read_head_norm(module, "k_norm", cfg),
        norm_after_rotary=bool(getattr(cfg, "qk_norm_after_rope", False)),
        clip=positive(getattr(own_config(model), "clip_qkv", None)),
    )


def _times(multiplier: float, weight: Tensor) -> Tensor:
    return weight.detach() if multiplier == 1.0 else multiplier * weight.detach()


def _read_head_norm(module: Any, name: str, cfg: Any) -> Norm | None:
    """The norm on q or k, with one row of weights for all heads or a row for each."""
    norm = getattr(module, name, None)
    if norm is None:
        return None
    if (heads := getattr(own(norm), "norms", None)) is not None:  # StableLM: a module per head
        read = read_norm(heads[0], cfg)
        weight = torch.stack([head.weight.detach() for head in heads])
        return Norm(read.centred, read.eps, weight)
    width = getattr(first(norm, "w", "weight"), "shape", (cfg.d_head,))[-1]
    if width != cfg.d_head:
        raise UnknownArchitecture(f"{name} normalises {width} values, not one head's")
    return read_norm(norm, cfg)


def _scale(module: Any, layer: int) -> float:
    """The factor on ``q . k``. HookedTransformer keeps its inverse, GPT-J too; GPT-Neo has none."""
    if type(module).__name__.startswith("JointQKV"):
        # This bridge attends by itself and does not ask the Hugging Face layer for its scale.
        by_layer = getattr(module.config, "scale_attn_by_inverse_layer_idx", False)
        return module.W_Q.shape[-1] ** -0.5 / (layer + 1 if by_layer else 1)
    if isinstance(scaling := getattr(own(module), "scaling", None), float):
        return scaling
    divisor = first(own(module), "attn_scale", "scale_attn")
    return 1.0 if divisor is None else 1.0 / float(divisor)


def _window(module: Any, cfg: Any, layer: int) -> int | None:
    """How many positions, its own included, a query of this layer sees; None where unlimited."""
    kind = first(own(module), "attn_type", "attention_type", "layer_type")
    config = getattr(own(module), "config", None)
    if kind in {"global", "full_attention"}:
        return None
    if kind is None and getattr(own(module), "sliding_window", 0) is None:
        return None  # said of this layer, whatever the whole model's configuration names
    width = first(own(module), "sliding_window") or first(config, "sliding_window", "window_size")
    if kind is None and width is not None and getattr(config, "use_sliding_window", True) is False:
        return None
    width = width or getattr(cfg, "window_size", None)
    return None if width is None else int(width)


def _read_rotary(module: Any, cfg: Any, layer: int, cache: Mapping[str, Tensor]) -> Rotary | None:
    """The tables of this layer in the run; None where it turns nothing."""
    if cfg.positional_embedding_type != "rotary":
        return None
    n_positions = cache["blocks.0.hook_resid_pre"].shape[1]
    name = f"blocks.{layer}.attn.hook_cos"
    if name in cache:
        cos, sin = (cache[table][0, :n_positions] for table in (name, name.replace("cos", "sin")))
        return _of_tables(cos, sin, cfg)
    if getattr(module, "rope_optional", False):
        return None  # Cohere 2 and SmolLM3 have layers that turn nothing, and show no table there
    adjacent = bool(getattr(cfg, "rotary_adjacent_pairs", False))
    if getattr(module, "rotary_cos", None) is not None:
        return Rotary(module.rotary_cos[:n_positions], module.rotary_sin[:n_positions], adjacent)
    own_table = getattr(own(module), "embed_positions", None)
    if isinstance(own_table, Tensor):
        return _gpt_j_rotary(own_table[:n_positions].to(module.W_Q))
    raise UnknownArchitecture(f"block {layer} uses rotary embeddings but shows no tables")


def _of_tables(cos: Float[Tensor, "pos d_rotary"], sin: Float[Tensor, "pos d_rotary"], cfg: Any) -> Rotary:
    """Tables that a bridge shows: each angle twice, side by side (Cohere) or half the width apart."""
    if getattr(cfg, "rotary_interleaved_cos_sin", False):
        return Rotary(cos, sin, adjacent=True)
    if not getattr(cfg, "rotary_adjacent_pairs", False):
        return Rotary(cos, sin, adjacent=False)
    # GLM and Ernie turn adjacent dimensions by tables that are laid out for distant ones.
    cos, sin = (table.chunk(2, dim=-1)[0].repeat_interleave(2, dim=-1) for table in (cos, sin))
    return Rotary(cos, sin, adjacent=True)


def _gpt_j_rotary(table: Float[Tensor, "pos d_rotary"]) -> Rotary:
    """GPT-J's buffer holds the sines of all pairs, then their cosines; a pair is adjacent."""
    sin, cos = (half.repeat_interleave(2, dim=-1) for half in table.chunk(2, dim=-1))
    return Rotary(cos, sin, adjacent=True)
