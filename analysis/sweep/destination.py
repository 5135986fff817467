"""The destination layer: each edge's head output under the patch, and the block's output with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.decoder import Activation, Block, Norm, affine
from analysis.requests import HeadInput
from analysis.sweep.replay import LayerRun, Suffix, after_mlp


@dataclass(frozen=True)
class Destination:
    """One destination layer of a sweep; rows exist only for the positions that still matter.

    `ln1_scale` is the corrupted run's ``ln1.hook_scale``, the divisor of frozen mode, and None in exact
    mode, where the norm is recomputed. `folded` enters the MLP from one head's change, and is None where
    it must be entered the long way.
    """

    block: Block
    run: LayerRun
    suffix: Suffix
    is_last: bool
    component: HeadInput
    ln1_scale: Float[Tensor, "batch pos 1"] | None
    folded: FoldedEntry | None = None

    @property
    def queries(self) -> slice:
        """Positions at which the destination's output is needed."""
        return self.suffix.queries(self.is_last)

    @property
    def patched_positions(self) -> slice:
        """Positions at which the patched input is needed: a query's own only, but every key's."""
        return self.queries if self.component == "q" else self.suffix.positions

    def rows(
        self,
        delta: Float[Tensor, "batch source pos d_model"],
        source: Int[Tensor, " edge"],
        heads: list[tuple[int, slice]],
    ) -> Float[Tensor, "batch edge query d_model"]:
        """The residual stream after this block for every edge.

        Edge e patches ``delta[:, source[e]]`` into the head whose slice of `heads` (head, edges)
        holds e.
        """
        inputs = self._patched_inputs(delta)
        resid_pre = self.run.resid_pre[:, None, self.queries]
        delta_z = resid_pre.new_empty(
            len(resid_pre), len(source), resid_pre.shape[2], self.block.attention.W_O.shape[1]
        )
        for head, edges in heads:
            z = self._patched_z(inputs[:, source[edges]], head)
            torch.sub(z, self.run.z[:, None, self.queries, head], out=delta_z[:, edges])
        write = self._attention_write(delta_z, heads)
        return self._after_block(resid_pre, write, delta_z, heads)

    def _patched_inputs(self, delta: Tensor) -> Tensor:
        """What the patched projection reads: ``delta / scale`` (frozen) or the normed sum (exact)."""
        first = self.patched_positions.start - self.suffix.start
        delta = delta[:, :, first : first + self.patched_positions.stop - self.patched_positions.start]
        if self.ln1_scale is not None:
            return delta / self.ln1_scale[:, None, self.patched_positions]
        return self.block.attention_norm(self.run.resid_pre[:, None, self.patched_positions] + delta)

    def _patched_component(self, inputs: Tensor, head: int) -> Float[Tensor, "batch edge pos d_head"]:
        """This head's own q, k or v, before clip, q/k norm and rotary."""
        weight, bias = self.block.attention.weights(self.component)
        own = head if self.component == "q" else head // self.block.attention.queries_per_key
        product = affine(inputs, weight[own], None)
        if self.ln1_scale is None:
            return product if bias is None else product + bias[own]
        projected = {"q": self.run.q_projected, "k": self.run.k_projected, "v": self.run.v_projected}
        return projected[self.component][:, None, self.patched_positions, own] + product

    def _patched_z(self, inputs: Tensor, head: int) -> Float[Tensor, "batch edge query d_head"]:
        attention, run, start = self.block.attention, self.run, self.suffix.start
        key_head = head // attention.queries_per_key
        own = head if self.component == "q" else key_head
        patched = attention.attended(
            self._patched_component(inputs, head).unsqueeze(3),
            self.component,
            self.patched_positions,
            slice(own, own + 1),
        ).squeeze(3)
        visible = attention.visible(self.queries, self.suffix.n_positions)
        k, v = run.k[:, None, :, key_head], run.v[:, None, :, key_head]
        if self.component == "q":
            return attention.pattern(patched @ k.mT, visible) @ v
        q = run.q[:, None, self.queries, head]
        if self.component == "v":
            pattern = attention.pattern(q @ k.mT, visible)
            return pattern[..., :start] @ v[:, :, :start] + pattern[..., start:] @ patched
        on_prefix = (q @ k[:, :, :start].mT).expand(-1, patched.shape[1], -1, -1)
        return attention.pattern(torch.cat([on_prefix, q @ patched.mT], dim=-1), visible) @ v

    def _attention_write(self, delta_z: Tensor, heads: list[tuple[int, slice]]) -> Tensor:
        """The attention layer's write with one head's output changed."""
        W_O = self.block.attention.W_O
        output = delta_z.new_empty(*delta_z.shape[:3], W_O.shape[-1])
        for head, edges in heads:
            output[:, edges] = affine(delta_z[:, edges], W_O[head], None)
        output += self.run.attention_output[:, None, self.queries]
        return self.block.attention_write(output)

    def _after_block(
        self, resid_pre: Tensor, write: Tensor, delta_z: Tensor, heads: list[tuple[int, slice]]
    ) -> Tensor:
        resid_mid = write.add_(resid_pre) if self.block.attention_post_norm is None else write + resid_pre
        if self.block.parallel:
            # The MLP of a parallel block reads resid_pre, which no path into this block changes.
            unchanged = self.run.mlp_write
            return resid_mid if unchanged is None else resid_mid.add_(unchanged[:, None, self.queries])
        if self.folded is None or self.block.mlp is None:
            return after_mlp(self.block, resid_pre, resid_mid)
        hidden = self.folded.hidden(resid_mid, delta_z, heads)
        return resid_mid.add_(self.block.mlp.write(hidden))


@dataclass(frozen=True)
class FoldedEntry:
    """Enters the MLP from one head's change instead of the whole residual stream.

    A row's residual stream is ``r + dz @ W_O[h]`` with r the corrupted one at that prompt and
    position, so its preactivation is, exactly,
    ``(dz @ (W_O[h] W) + r W - mean * sum(W)) / scale + b`` with W = W_in under the norm's weight.
    That is one product over d_head + (prompts x positions) + 2 columns in place of d_model.
    """

    head_matrix: Float[Tensor, "head d_head d_mlp"]
    shared: Float[Tensor, "column d_mlp"]
    norm: Norm
    activation: Activation

    @classmethod
    def of(
        cls, block: Block, resid_mid: Float[Tensor, "batch query d_model"], head_matrix: Tensor
    ) -> FoldedEntry:
        """Fold for the corrupted residual streams `resid_mid`; `head_matrix` from `folded_heads`."""
        assert block.mlp is not None and block.mlp_norm is not None
        weight, bias = normed_entry(block)
        rows = resid_mid.flatten(0, 1) @ weight
        shared = torch.cat([rows, -weight.sum(0, keepdim=True), bias[None]])
        return cls(head_matrix, shared, block.mlp_norm, block.mlp.activation)

    def hidden(
        self, resid_mid: Tensor, delta_z: Tensor, heads: list[tuple[int, slice]]
    ) -> Float[Tensor, "batch edge query d_mlp"]:
        """The MLP's hidden layer after its nonlinearity."""
        batch, n_edges, n_queries, _ = delta_z.shape
        inverse_scale = 1.0 / self.norm.scale(resid_mid)
        mean = resid_mid.mean(-1, keepdim=True) if self.norm.centred else torch.zeros_like(inverse_scale)
        own_row = torch.eye(batch * n_queries, dtype=delta_z.dtype, device=delta_z.device)
        columns = torch.cat(
            [
                delta_z * inverse_scale,
                own_row.view(batch, 1, n_queries, -1) * inverse_scale,
                mean * inverse_scale,
                torch.ones_like(mean),
            ],
            dim=-1,
        )
        found = delta_z.new_empty(batch, n_edges, n_queries, self.shared.shape[-1])
        for head, edges in heads:
            matrix = torch.cat([self.head_matrix[head], self.shared])
            found[:, edges] = affine(columns[:, edges], matrix, None, self.activation)
        return found


def normed_entry(block: Block) -> tuple[Float[Tensor, "d_model d_mlp"], Float[Tensor, " d_mlp"]]:
    """W_in and its bias with the norm's own weight and bias folded in."""
    assert block.mlp is not None and block.mlp_norm is not None
    weight, bias, norm = block.mlp.W_in, block.mlp.b_in, block.mlp_norm
    bias = weight.new_zeros(weight.shape[1]) if bias is None else bias
    if norm.bias is not None:
        bias = bias + norm.bias @ weight
    return (weight if norm.weight is None else norm.weight[:, None] * weight), bias


def folded_heads(block: Block) -> Float[Tensor, "head d_head d_mlp"]:
    """``W_O[h] @ W_in`` of every head, for `FoldedEntry`."""
    return block.attention.W_O @ normed_entry(block)[0]


def can_fold(block: Block, n_rows: int, n_edges: int) -> bool:
    """Whether entering the MLP from the head's change is defined here, and pays.

    It pays where it at least halves the product (`n_rows` prompts x positions become columns),
    and where the piece has more rows than `folded_heads` has.
    """
    if block.mlp is None or block.parallel or block.attention_post_norm is not None:
        return False
    n_heads, d_head, _ = block.attention.W_O.shape
    halves = 2 * (d_head + n_rows + 2) <= block.mlp.W_in.shape[0]
    return block.mlp.W_gate is None and halves and n_edges * n_rows >= n_heads * d_head
