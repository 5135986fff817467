"""LayerNorm and RMSNorm as plain tensors, and how they are read off a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from analysis.decoder.fields import UnknownArchitecture, detached, first
from analysis.errors import UnsupportedModelError


@dataclass(frozen=True)
class Norm:
    """LayerNorm, or RMSNorm where `centred` is false; None stands for a folded weight or bias.

    A norm of q or k may have a row of weights for each head (Command R+, StableLM 2).
    """

    centred: bool
    eps: float
    weight: Float[Tensor, " d_model"] | Float[Tensor, "head d_head"] | None = None
    bias: Float[Tensor, " d_model"] | None = None

    def __call__(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """x normalised over its last axis, weight and bias applied."""
        shape = x.shape[-1:]
        if self.weight is not None and self.weight.ndim == 2:
            # x may hold each query head's own copy of a shared key: the estimate has such copies.
            copies = x.shape[-2] // len(self.weight)
            return replace(self, weight=None)(x) * self.weight.repeat_interleave(copies, dim=0)
        if self.centred:
            return F.layer_norm(x, shape, self.weight, self.bias, self.eps)
        return F.rms_norm(x, shape, self.weight, self.eps)

    def scale(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows 1"]:
        """The divisor, TransformerLens's ``hook_scale``: sqrt(mean square of (centred) x + eps)."""
        if self.centred:
            x = x - x.mean(-1, keepdim=True)
        return (x.pow(2).mean(-1, keepdim=True) + self.eps).sqrt()

    def share(
        self, x: Float[Tensor, "*rows d_model"], scale: Float[Tensor, "*#rows 1"]
    ) -> Float[Tensor, "*rows d_model"]:
        """What a part of the norm's input becomes, where `scale` is that of the whole; no bias.

        The norm of a sum is the sum of the shares, plus the bias.
        """
        if self.centred:
            x = x - x.mean(dim=-1, keepdim=True)
        return x / scale * (1.0 if self.weight is None else self.weight)

    def before(
        self, weight: Float[Tensor, "d_model d_out"]
    ) -> tuple[Float[Tensor, "d_model d_out"], Float[Tensor, " d_out"] | None]:
        """`(matrix, shift)` so that ``norm(x) @ weight`` is ``x @ matrix / scale(x) + shift``."""
        matrix = weight if self.weight is None else self.weight[:, None] * weight
        if self.centred:
            matrix = matrix - matrix.mean(0, keepdim=True)
        return matrix, None if self.bias is None else self.bias @ weight

    def of_heads(self, heads: slice) -> Norm:
        """The same norm for some of the heads only."""
        if self.weight is None or self.weight.ndim == 1:
            return self
        return replace(self, weight=self.weight[heads])


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
