"""What a model declares about itself, and what in it the replay must not pass over.

A part that changes every forward pass is seen by the gate whether it is read here or not. A bound
is not: values beyond it may occur in patched rows only. So every field that names a bound is
looked for, and every class of module whose code was not read is refused.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

#: Position embeddings that the replay has: added before the first block, or rotary.
_POSITIONS = (None, "none", "standard", "rotary")

#: TransformerLens's blocks, attention layers and MLPs whose code was read, in its bridge (3.9 and
#: 4.3) and in `HookedTransformer`.
_BLOCKS = (
    "BlockBridge",
    "ParallelBlockBridge",
    "ScaledResidualBlockBridge",
    "TransformerBlock",
    "_OptBlockBridge",
)
_ATTENTION = (
    "Attention",
    "AttentionBridge",
    "CodeGenAttentionBridge",
    "GroupedQueryAttention",
    "JointQKVAttentionBridge",
    "JointQKVPositionEmbeddingsAttentionBridge",
    "PositionEmbeddingsAttentionBridge",
    "_Cohere2AttentionBridge",
    "_SmolLM3AttentionBridge",
)
_MLPS = ("GatedMLP", "GatedMLPBridge", "JointGateUpMLPBridge", "MLP", "MLPBridge")

#: Hugging Face attention layers that an `AttentionBridge` leaves to compute by themselves.
_OWN_ATTENTION = ("GPTJAttention", "GPTNeoSelfAttention", "OPTAttention", "XGLMAttention")

_BOUND = re.compile(r"clip|clamp|limit|soft_?cap|sparsity|quantization")
#: Bounds that `read_decoder` reads.
_READ_BOUNDS = ("attn_logit_softcapping", "clip_qkv", "final_logit_softcapping")


class UnknownArchitecture(Exception):
    """The replay has no name for a part of this model; the general path must be used."""


def require_known(model: Any) -> None:
    """Raise `UnknownArchitecture` for a model with a part or a bound that the replay does not have."""
    cfg = model.cfg
    if getattr(cfg, "positional_embedding_type", None) not in _POSITIONS:
        raise UnknownArchitecture(f"positional_embedding_type {cfg.positional_embedding_type!r}")
    if getattr(cfg, "attention_dir", "causal") != "causal":
        raise UnknownArchitecture(f"attention_dir {cfg.attention_dir!r}")
    config = own_config(model)
    for name, value in {} if config is None else config.to_dict().items():
        if _BOUND.search(name) and name not in _READ_BOUNDS and not _is_neutral(value):
            raise UnknownArchitecture(f"{name} {value!r} is a bound that the replay does not have")
    for block in model.blocks:
        _require_known_classes(block)


def _require_known_classes(block: Any) -> None:
    mlp = getattr(block, "mlp", None)
    parts = ((block, _BLOCKS), (block.attn, _ATTENTION), *(() if mlp is None else ((mlp, _MLPS),)))
    if type(block.attn).__name__ == "AttentionBridge":
        parts = (*parts, (block.attn.original_component, _OWN_ATTENTION))
    for part, known in parts:
        if type(part).__name__ not in known:
            raise UnknownArchitecture(f"the code of {type(part).__name__} was not read")


def _is_neutral(value: Any) -> bool:
    """Whether a declared bound bounds nothing: absent, zero, or a list or table of such."""
    if isinstance(value, dict):
        return all(map(_is_neutral, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_neutral, value))
    return not value


def own_config(model: Any) -> Any:
    """The Hugging Face configuration of the language model under a bridge; None elsewhere."""
    config = getattr(getattr(model, "original_model", None), "config", None)
    return None if config is None else config.get_text_config()


def multiplier_of(model: Any, name: str) -> float:
    """A factor that the Hugging Face configuration declares; 1.0 where it does not."""
    return float(getattr(own_config(model), name, None) or 1.0)


def own(module: Any) -> Any:
    """The Hugging Face module under a bridge, or the module itself."""
    return getattr(module, "original_component", module)


def first(owner: Any, *names: str) -> Any:
    """The first of the attributes that exists and is not None."""
    found = (getattr(owner, name, None) for name in names)
    return next((value for value in found if value is not None), None)


def detached(tensor: Tensor | None) -> Tensor | None:
    """`tensor` outside of any graph, None if there is none."""
    return None if tensor is None else tensor.detach()


def positive(value: float | None) -> float | None:
    """`value` where it is a number above zero."""
    return float(value) if value is not None and value > 0 else None
