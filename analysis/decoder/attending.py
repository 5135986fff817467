"""Attention as plain tensors: its projections, its patterns and its output.

Every function acts on the last axes and leaves leading axes alone, so the same code runs one
prompt, a batch, or thousands of patched rows. Weights are views of the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analysis.decoder.norm import Norm
from analysis.decoder.products import affine

#: Queries whose scores are made together: their scores stay in the processor's cache.
QUERIES_AT_ONCE = 64


@dataclass(frozen=True)
class Rotary:
    """Rotary position embedding by the model's own tables.

    `cos`/`sin` cover the first `d_rotary` of each head's dimensions; `adjacent` pairs dimensions
    (0,1), (2,3), ... as GPT-J does, otherwise (0, d_rotary/2), (1, d_rotary/2 + 1), ...
    """

    cos: Float[Tensor, "pos d_rotary"]
    sin: Float[Tensor, "pos d_rotary"]
    adjacent: bool

    def __call__(
        self, x: Float[Tensor, "*rows pos head d_head"], positions: slice
    ) -> Float[Tensor, "*rows pos head d_head"]:
        """q or k turned by the angles of `positions`."""
        cos, sin = self.cos[positions, None], self.sin[positions, None]
        turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
        rotated = turned * cos + self._quarter_turn(turned) * sin
        return torch.cat([rotated, rest], dim=-1) if rest.shape[-1] else rotated

    def _quarter_turn(self, x: Tensor) -> Tensor:
        if self.adjacent:
            return torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).flatten(-2)
        first, second = x.chunk(2, dim=-1)
        return torch.cat([-second, first], dim=-1)


@dataclass(frozen=True)
class Attention:
    """One attention layer; k and v may have fewer heads than q (grouped-query attention).

    q, k and v are clipped to ``[-clip, clip]`` after their projection (OLMo). `norm_after_rotary`:
    q and k are turned first and normalised then (HunYuan).
    """

    W_Q: Float[Tensor, "head d_model d_head"]
    W_K: Float[Tensor, "key_head d_model d_head"]
    W_V: Float[Tensor, "key_head d_model d_head"]
    W_O: Float[Tensor, "head d_head d_model"]
    b_Q: Float[Tensor, "head d_head"] | None
    b_K: Float[Tensor, "key_head d_head"] | None
    b_V: Float[Tensor, "key_head d_head"] | None
    b_O: Float[Tensor, " d_model"] | None
    scale: float
    softcap: float | None = None
    window: int | None = None
    rotary: Rotary | None = None
    q_norm: Norm | None = None
    k_norm: Norm | None = None
    norm_after_rotary: bool = False
    clip: float | None = None

    @property
    def queries_per_key(self) -> int:
        """How many query heads share one key head; 1 without grouping."""
        return self.W_Q.shape[0] // self.W_K.shape[0]

    def weights(self, component: str) -> tuple[Tensor, Tensor | None]:
        """`(W, b)` of q, k or v, with one entry per head that the projection has."""
        return {
            "q": (self.W_Q, self.b_Q),
            "k": (self.W_K, self.b_K),
            "v": (self.W_V, self.b_V),
        }[component]

    def project(
        self, normalized: Float[Tensor, "*rows d_model"], component: str
    ) -> Float[Tensor, "*rows head d_head"]:
        """q, k or v before clip, q/k norm and rotary: ``normalized @ W + b``."""
        return affine(normalized, *self.matrix(component)).unflatten(
            -1, self.weights(component)[0].shape[::2]
        )

    def matrix(
        self, component: str
    ) -> tuple[Float[Tensor, "d_model heads_d_head"], Float[Tensor, " heads_d_head"] | None]:
        """`weights` of all heads side by side."""
        weight, bias = self.weights(component)
        together = weight.permute(1, 0, 2).reshape(weight.shape[1], -1)
        return together, None if bias is None else bias.flatten()

    def attended(
        self, x: Tensor, component: str, positions: slice, heads: slice = slice(None)
    ) -> Float[Tensor, "*rows pos head d_head"]:
        """What attention makes of a projected q, k or v: clipped; q and k also normed and turned.

        `x` [*rows pos head d_head] stands at `positions` and holds `heads` of the projection's.
        """
        if self.clip is not None:
            x = x.clamp(-self.clip, self.clip)
        if component == "v":
            return x
        norm = self.q_norm if component == "q" else self.k_norm
        if norm is not None and not self.norm_after_rotary:
            x = norm.of_heads(heads)(x)
        x = x if self.rotary is None else self.rotary(x, positions)
        if norm is not None and self.norm_after_rotary:
            x = norm.of_heads(heads)(x)
        return x

    def pattern(
        self, scores: Float[Tensor, "*rows query key"], visible: Bool[Tensor, "query key"]
    ) -> Float[Tensor, "*rows query key"]:
        """Attention probabilities from raw ``q . k`` products, over the `visible` keys of each query.

        Reuses the memory of `scores` if no gradient is asked.
        """
        if torch.is_grad_enabled():
            scores = scores * self.scale
        else:
            scores.mul_(self.scale)
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        return scores.masked_fill_(~visible, float("-inf")).softmax(dim=-1)

    def blocks(self, queries: slice, n_positions: int) -> Iterator[tuple[slice, int, Tensor]]:
        """`queries` in blocks, whose products with keys stay small and leave out those that none may see.

        Yields where a block stands among the queries, how many keys there are up to its last one, and which
        of those each query may attend to.
        """
        visible = self.visible(queries, n_positions)
        for first in range(0, len(visible), QUERIES_AT_ONCE):
            rows = slice(first, min(first + QUERIES_AT_ONCE, len(visible)))
            n_keys = queries.start + rows.stop
            yield rows, n_keys, visible[rows, :n_keys]

    def visible(self, queries: slice, n_positions: int) -> Bool[Tensor, "query key"]:
        """Which keys each query may attend to: causal, and within the window where there is one."""
        device = self.W_Q.device
        query = torch.arange(n_positions, device=device)[queries, None]
        key = torch.arange(n_positions, device=device)[None, :]
        seen = key <= query
        return seen if self.window is None else seen & (query - key < self.window)

    def output(self, z: Float[Tensor, "*rows head d_head"]) -> Float[Tensor, "*rows d_model"]:
        """The layer's output before any post-norm: sum over heads of ``z @ W_O``, plus b_O."""
        return affine(z.flatten(-2), self.W_O.flatten(0, 1), self.b_O)
