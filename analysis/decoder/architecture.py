"""Reads a TransformerLens model into `Decoder`.

Reading is by attribute, so it serves TransformerBridge (3.x and 4.x) and HookedTransformer alike.
Whatever is misread or unknown is caught by the gate (`analysis.sweep.gate`), which compares the
replayed logits with the model's own; a part that has no name here raises `UnknownArchitecture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from analysis.decoder.attention import read_attention
from analysis.decoder.fields import (
    UnknownArchitecture,
    detached,
    multiplier_of,
    own_config,
    positive,
    require_known,
)
from analysis.decoder.layers import Block, Decoder, Mlp
from analysis.decoder.norm import Norm, read_norm
from analysis.decoder.products import ACTIVATIONS


def read_decoder(model: Any, cache: Mapping[str, Tensor]) -> Decoder:
    """`model` as plain tensors; `cache` is one run of it, of the length to be replayed.

    Rotary tables are taken from that run where the model exposes them, so every scaling of the
    rotary frequencies is covered. Raises `UnknownArchitecture`.
    """
    cfg = model.cfg
    try:
        require_known(model)
        if model.W_U.shape[0] != cfg.d_model:
            raise UnknownArchitecture(f"W_U reads {model.W_U.shape[0]} of {cfg.d_model} dimensions")
        final, b_U = _read_final_norm(model), detached(getattr(model, "b_U", None))
        return Decoder(
            blocks=tuple(_read_block(model, layer, cache) for layer in range(cfg.n_layers)),
            final_norm=final,
            W_U=model.W_U.detach(),
            b_U=b_U if b_U is None else b_U / multiplier_of(model, "logits_scaling"),
            logit_softcap=positive(getattr(cfg, "output_logits_soft_cap", None)),
        )
    except (AttributeError, TypeError) as error:
        raise UnknownArchitecture(f"{type(model).__name__} lacks a part: {error}") from error


def _read_final_norm(model: Any) -> Norm | None:
    """The norm before W_U; where the model divides its logits (Granite), so does this norm."""
    module, divisor = getattr(model, "ln_final", None), multiplier_of(model, "logits_scaling")
    norm = None if module is None else read_norm(module, model.cfg)
    if divisor == 1.0:
        return norm
    if norm is None or norm.bias is not None:
        raise UnknownArchitecture(f"logits_scaling {divisor} after no norm, or one with a bias")
    weight = model.W_U.new_ones(model.cfg.d_model) if norm.weight is None else norm.weight
    return replace(norm, weight=weight / divisor)


def _read_block(model: Any, layer: int, cache: Mapping[str, Tensor]) -> Block:
    block, cfg = model.blocks[layer], model.cfg
    norms = {name: getattr(block, name, None) for name in ("ln1", "ln2", "ln1_post", "ln2_post")}
    read = {name: None if norm is None else read_norm(norm, cfg) for name, norm in norms.items()}
    mlp = None if getattr(cfg, "attn_only", False) else _read_mlp(model, block.mlp)
    parallel = bool(getattr(cfg, "parallel_attn_mlp", False))
    if read["ln1"] is None or (mlp is not None and not parallel and read["ln2"] is None):
        raise UnknownArchitecture(f"block {layer} lacks a norm before its attention or MLP")
    return Block(
        attention_norm=read["ln1"],
        attention=read_attention(model, layer, cache),
        mlp_norm=read["ln2"],
        mlp=mlp,
        attention_post_norm=read["ln1_post"],
        mlp_post_norm=read["ln2_post"],
        parallel=parallel,
    )


def _read_mlp(model: Any, module: Any) -> Mlp:
    # Falcon and BLOOM name their activation in a field that TransformerLens does not take over.
    name = str(getattr(own_config(model), "activation", None) or model.cfg.act_fn)
    activation = ACTIVATIONS.get(name)
    if activation is None or getattr(module, "W_in", None) is None or hasattr(module, "gate_network"):
        raise UnknownArchitecture(f"{type(module).__name__} with activation {name!r}")
    return Mlp(
        W_in=module.W_in.detach(),
        W_gate=detached(getattr(module, "W_gate", None)),
        W_out=module.W_out.detach(),
        b_in=detached(getattr(module, "b_in", None)),
        b_gate=detached(getattr(module, "b_gate", None)),
        b_out=detached(getattr(module, "b_out", None)),
        activation=activation,
        multiplier=multiplier_of(model, "residual_multiplier"),
    )
