"""Reads a TransformerLens model into `Decoder`: the one place that knows model attributes.

Reading is by attribute, so it serves TransformerBridge (3.x and 4.x) and HookedTransformer alike.
Whatever is misread or unknown is caught by the gate (`analysis.sweep.replay`), which compares the
replayed logits with the model's own; a part that has no name here raises `UnknownArchitecture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from analysis.decoder.layers import Attention, Block, Decoder, Mlp, Norm, Rotary
from analysis.decoder.products import ACTIVATIONS


class UnknownArchitecture(Exception):
    """The replay has no name for a part of this model; the general path must be used."""


def read_decoder(model: Any, cache: Mapping[str, Tensor]) -> Decoder:
    """`model` as plain tensors; `cache` is one run of it, of the length to be replayed.

    Rotary tables are taken from that run where the model exposes them, so every scaling of the
    rotary frequencies is covered. Raises `UnknownArchitecture`.
    """
    cfg = model.cfg
    try:
        blocks = tuple(_read_block(model, layer, cache) for layer in range(cfg.n_layers))
        final = getattr(model, "ln_final", None)
        return Decoder(
            blocks=blocks,
            final_norm=None if final is None else _read_norm(final, cfg),
            W_U=model.W_U.detach(),
            b_U=_detached(getattr(model, "b_U", None)),
            logit_softcap=_positive(getattr(cfg, "output_logits_soft_cap", None)),
        )
    except (AttributeError, TypeError) as error:
        raise UnknownArchitecture(f"{type(model).__name__} lacks a part: {error}") from error


def read_post_norms(model: Any) -> tuple[Norm | None, ...]:
    """Each block's norm on its attention output (Gemma 2), None where there is none."""
    norms = (getattr(block, "ln1_post", None) for block in model.blocks)
    return tuple(None if norm is None else _read_norm(norm, model.cfg) for norm in norms)


def _read_block(model: Any, layer: int, cache: Mapping[str, Tensor]) -> Block:
    block, cfg = model.blocks[layer], model.cfg
    norms = {name: getattr(block, name, None) for name in ("ln1", "ln2", "ln1_post", "ln2_post")}
    read = {name: None if norm is None else _read_norm(norm, cfg) for name, norm in norms.items()}
    mlp = None if getattr(cfg, "attn_only", False) else _read_mlp(block.mlp, cfg)
    parallel = bool(getattr(cfg, "parallel_attn_mlp", False))
    if read["ln1"] is None or (mlp is not None and not parallel and read["ln2"] is None):
        raise UnknownArchitecture(f"block {layer} lacks a norm before its attention or MLP")
    return Block(
        attention_norm=read["ln1"],
        attention=_read_attention(model, layer, cache),
        mlp_norm=read["ln2"],
        mlp=mlp,
        attention_post_norm=read["ln1_post"],
        mlp_post_norm=read["ln2_post"],
        parallel=parallel,
    )


def _read_norm(module: Any, cfg: Any) -> Norm:
    kind = str(cfg.normalization_type or "")
    if not kind.startswith(("LN", "RMS")):
        raise UnknownArchitecture(f"normalization_type {cfg.normalization_type!r} is not LN or RMS")
    weight = _detached(_first(module, "w", "weight"))
    bias = _detached(_first(module, "b", "bias"))
    if weight is not None and getattr(cfg, "rmsnorm_uses_offset", False):
        weight = 1.0 + weight
    return Norm(
        centred=kind.startswith("LN"),
        eps=float(cfg.eps),
        weight=None if weight is None or bool((weight == 1).all()) else weight,
        bias=None if bias is None or not bool(bias.any()) else bias,
    )


def _read_mlp(module: Any, cfg: Any) -> Mlp:
    activation = ACTIVATIONS.get(str(cfg.act_fn))
    if activation is None or getattr(module, "W_in", None) is None or hasattr(module, "gate_network"):
        raise UnknownArchitecture(f"{type(module).__name__} with activation {cfg.act_fn!r}")
    return Mlp(
        W_in=module.W_in.detach(),
        W_gate=_detached(getattr(module, "W_gate", None)),
        W_out=module.W_out.detach(),
        b_in=_detached(getattr(module, "b_in", None)),
        b_out=_detached(getattr(module, "b_out", None)),
        activation=activation,
    )


def _read_attention(model: Any, layer: int, cache: Mapping[str, Tensor]) -> Attention:
    module, cfg = model.blocks[layer].attn, model.cfg
    if module.W_Q.ndim != 3 or module.W_Q.shape[0] != cfg.n_heads:
        raise UnknownArchitecture(f"W_Q of block {layer} has shape {tuple(module.W_Q.shape)}")
    return Attention(
        W_Q=module.W_Q.detach(),
        W_K=module.W_K.detach(),
        W_V=module.W_V.detach(),
        W_O=module.W_O.detach(),
        b_Q=_detached(getattr(module, "b_Q", None)),
        b_K=_detached(getattr(module, "b_K", None)),
        b_V=_detached(getattr(module, "b_V", None)),
        b_O=_detached(getattr(module, "b_O", None)),
        scale=_attention_scale(module),
        softcap=_positive(getattr(cfg, "attn_scores_soft_cap", None)),
        window=_window(module, cfg, layer),
        rotary=_read_rotary(module, cfg, layer, cache),
        q_norm=_read_head_norm(module, "q_norm", cfg),
        k_norm=_read_head_norm(module, "k_norm", cfg),
    )


def _read_head_norm(module: Any, name: str, cfg: Any) -> Norm | None:
    norm = getattr(module, name, None)
    if norm is None:
        return None
    read = _read_norm(norm, cfg)
    if read.weight is not None and read.weight.shape[-1] != cfg.d_head:
        raise UnknownArchitecture(f"{name} normalises {read.weight.shape[-1]} values, not one head's")
    return read


def _attention_scale(module: Any) -> float:
    """The factor on ``q . k``. HookedTransformer keeps its inverse, GPT-J too; GPT-Neo has none."""
    own = getattr(module, "original_component", module)
    if isinstance(scaling := getattr(own, "scaling", None), float):
        return scaling
    divisor = _first(own, "attn_scale", "scale_attn")
    return 1.0 if divisor is None else 1.0 / float(divisor)


def _window(module: Any, cfg: Any, layer: int) -> int | None:
    """How many positions, its own included, a query of this layer sees; None where unlimited."""
    own = getattr(module, "original_component", module)
    kind = _first(own, "attn_type", "attention_type", "layer_type")
    config = getattr(own, "config", None)
    if kind in {"global", "full_attention"}:
        return None
    width = _first(own, "sliding_window") or _first(config, "sliding_window", "window_size")
    if kind is None and width is not None and getattr(config, "use_sliding_window", True) is False:
        return None
    width = width or getattr(cfg, "window_size", None)
    return None if width is None else int(width)


def _read_rotary(module: Any, cfg: Any, layer: int, cache: Mapping[str, Tensor]) -> Rotary | None:
    if cfg.positional_embedding_type != "rotary":
        return None
    n_positions = cache["blocks.0.hook_resid_pre"].shape[1]
    name = f"blocks.{layer}.attn.hook_cos"
    if name in cache:
        cos, sin = cache[name], cache[name.replace("cos", "sin")]
        return Rotary(cos[0, :n_positions], sin[0, :n_positions], adjacent=False)
    adjacent = bool(getattr(cfg, "rotary_adjacent_pairs", False))
    if getattr(module, "rotary_cos", None) is not None:
        return Rotary(module.rotary_cos[:n_positions], module.rotary_sin[:n_positions], adjacent)
    own_table = getattr(getattr(module, "original_component", None), "embed_positions", None)
    if isinstance(own_table, Tensor):
        return _gpt_j_rotary(own_table[:n_positions].to(module.W_Q))
    raise UnknownArchitecture(f"block {layer} uses rotary embeddings but shows no tables")


def _gpt_j_rotary(table: Float[Tensor, "pos d_rotary"]) -> Rotary:
    """GPT-J's buffer holds the sines of all pairs, then their cosines; a pair is adjacent."""
    sin, cos = (half.repeat_interleave(2, dim=-1) for half in table.chunk(2, dim=-1))
    return Rotary(cos, sin, adjacent=True)


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()


def _positive(value: float | None) -> float | None:
    return float(value) if value is not None and value > 0 else None


def _first(owner: Any, *names: str) -> Any:
    """The first of the attributes that exists and is not None."""
    found = (getattr(owner, name, None) for name in names)
    return next((value for value in found if value is not None), None)
