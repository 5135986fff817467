"""Reads a LayerNorm or RMSNorm of a model into `Norm`."""

from __future__ import annotations

from typing import Any

from analysis.decoder.fields import UnknownArchitecture, detached, first
from analysis.decoder.layers import Norm
from analysis.errors import UnsupportedModelError


def read_norm(module: Any, cfg: Any) -> Norm:
    """The norm in `module`; all norms of a model are of the kind that `cfg` names.

    Raises `UnknownArchitecture` for a kind that is neither LayerNorm nor RMSNorm.
    """
    kind = str(cfg.normalization_type or "")
    if not kind.startswith(("LN", "RMS")):
        raise UnknownArchitecture(f"normalization_type {cfg.normalization_type!r} is not LN or RMS")
    weight = detached(first(module, "w", "weight"))
    bias = detached(first(module, "b", "bias"))
    if weight is not None and getattr(cfg, "rmsnorm_uses_offset", False):
        weight = 1.0 + weight
    return Norm(
        centred=kind.startswith("LN"),
        eps=float(cfg.eps),
        weight=None if weight is None or bool((weight == 1).all()) else weight,
        bias=None if bias is None or not bool(bias.any()) else bias,
    )


def read_post_norms(model: Any) -> tuple[Norm | None, ...]:
    """Each block's norm on its attention output (Gemma 2), None where there is none.

    Raises `UnsupportedModelError` for one of another kind, since no head's share of it is known.
    """
    norms = (getattr(block, "ln1_post", None) for block in model.blocks)
    try:
        return tuple(None if norm is None else read_norm(norm, model.cfg) for norm in norms)
    except UnknownArchitecture as error:
        raise UnsupportedModelError(
            f"This model norms its attention outputs, and {error}: a head's share is not known. Choose "
            "a model whose norms are LayerNorm or RMSNorm."
        ) from error
