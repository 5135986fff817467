"""Matrix products with bias and activation, fused into one pass where the device has that.

On the CPU in float32, oneDNN multiplies, adds the bias and applies the activation while the tile
is still in registers; that is full float32 arithmetic, about a tenth faster than the plain product and
spares a pass over the hidden layer. For every number of rows it makes code of its own, and keeps it: a
server would grow by some 200 kB with each, so small products are left to the plain way. There, and everywhere
else, the same formula runs as separate operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

#: Multiplications from which a product is fused: some milliseconds of work.
_WORTH_FUSING = 2**28


@dataclass(frozen=True)
class Activation:
    """A nonlinearity: as torch computes it, and under which names oneDNN fuses it, if it does."""

    function: Callable[[Tensor], Tensor]
    fused_name: str = ""
    fused_scalars: tuple[float, ...] = ()
    fused_algorithm: str = ""

    def __call__(self, x: Tensor) -> Tensor:
        """The nonlinearity of every entry."""
        return self.function(x)


_IDENTITY = Activation(lambda x: x, "none")
_TANH_GELU = Activation(partial(F.gelu, approximate="tanh"), "gelu", (), "tanh")
_SILU = Activation(F.silu, "swish", (1.0,))

#: By TransformerLens's ``cfg.act_fn``.
ACTIVATIONS: dict[str, Activation] = {
    "gelu": Activation(F.gelu, "gelu", (), "none"),
    "gelu_new": _TANH_GELU,
    "gelu_fast": _TANH_GELU,
    "gelu_pytorch_tanh": _TANH_GELU,
    "relu": Activation(F.relu, "relu"),
    "relu2": Activation(lambda x: F.relu(x).square()),
    "silu": _SILU,
    "swish": _SILU,
}


def affine(
    x: Float[Tensor, "*rows d_in"],
    weight: Float[Tensor, "d_in d_out"],
    bias: Float[Tensor, " d_out"] | None,
    activation: Activation = _IDENTITY,
) -> Float[Tensor, "*rows d_out"]:
    """``activation(x @ weight + bias)``."""
    if _fuses(x, weight):
        if not activation.fused_name:
            return activation(affine(x, weight, bias))
        # oneDNN is very slow on matrices with gaps, such as one head's slice of W_Q.
        weight = weight if weight.t().is_contiguous() else weight.contiguous()
        return torch.ops.mkldnn._linear_pointwise(
            x, weight.t(), bias, activation.fused_name, activation.fused_scalars, activation.fused_algorithm
        )
    return activation(F.linear(x, weight.t(), bias))


def _fuses(x: Tensor, weight: Tensor) -> bool:
    """The fused product has no gradient and exists for float32 on processors that oneDNN serves."""
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and torch.backends.mkldnn.is_available()
        and x.numel() * weight.shape[1] >= _WORTH_FUSING
    )
