"""The parts of a decoder block as plain tensors and the arithmetic that replays them.

Every function acts on the last axes and leaves leading axes alone, so the same code runs one
prompt, a batch, or thousands of patched rows. Weights are views of the model's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.decoder.attending import Attention
from analysis.decoder.norm import Norm
from analysis.decoder.products import Activation, affine
from analysis.nodes import Graph


@dataclass(frozen=True)
class Mlp:
    """A position-wise MLP; with `W_gate` the hidden layer is ``act(x W_gate + b_gate) * (x W_in + b_in)``.

    What it adds to the residual stream is `multiplier` times its output (Granite).
    """

    W_in: Float[Tensor, "d_model d_mlp"]
    W_out: Float[Tensor, "d_mlp d_model"]
    b_in: Float[Tensor, " d_mlp"] | None
    b_out: Float[Tensor, " d_model"] | None
    activation: Activation
    W_gate: Float[Tensor, "d_model d_mlp"] | None = None
    b_gate: Float[Tensor, " d_mlp"] | None = None
    multiplier: float = 1.0

    def __call__(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """The MLP's output for its normed input."""
        return self.write(self.hidden(x))

    def hidden(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_mlp"]:
        """The hidden layer after its nonlinearity, for the normed input."""
        if self.W_gate is None:
            return affine(x, self.W_in, self.b_in, self.activation)
        hidden = affine(x, self.W_gate, self.b_gate, self.activation)
        return hidden.mul_(affine(x, self.W_in, self.b_in))

    def activated(
        self, product: Float[Tensor, "*rows d_mlp"], gate: Float[Tensor, "*rows d_mlp"] | None
    ) -> Float[Tensor, "*rows d_mlp"]:
        """`hidden`, from what W_in, and W_gate where there is one, make of the normed input."""
        return self.activation(product) if gate is None else self.activation(gate).mul_(product)

    def write(self, hidden: Float[Tensor, "*rows d_mlp"]) -> Float[Tensor, "*rows d_model"]:
        """The MLP's output, from its hidden layer after the nonlinearity."""
        output = affine(hidden, self.W_out, self.b_out)
        return output if self.multiplier == 1.0 else self.multiplier * output


@dataclass(frozen=True)
class Block:
    """One decoder block. `mlp_norm` None in a parallel block: the MLP reads the attention's norm."""

    attention_norm: Norm
    attention: Attention
    mlp_norm: Norm | None
    mlp: Mlp | None
    attention_post_norm: Norm | None = None
    mlp_post_norm: Norm | None = None
    parallel: bool = False

    def attention_write(self, output: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """What is added to the residual stream, from the attention layer's output."""
        return output if self.attention_post_norm is None else self.attention_post_norm(output)

    def head_write(
        self,
        head: int,
        z: Float[Tensor, "*rows head d_head"],
        output: Float[Tensor, "*rows d_model"],
    ) -> Float[Tensor, "*rows d_model"]:
        """What one head adds to the residual stream, from the layer's z and its output; no bias.

        Where the block norms that output, the head's share of what the norm makes of it.
        """
        write, norm = z[..., head, :] @ self.attention.W_O[head], self.attention_post_norm
        return write if norm is None else norm.share(write, norm.scale(output))

    def mlp_write(
        self, resid_pre: Float[Tensor, "*#rows d_model"], resid_mid: Float[Tensor, "*#rows d_model"]
    ) -> Float[Tensor, "*#rows d_model"] | None:
        """The MLP's write, None in attention-only models."""
        if self.mlp is None:
            return None
        read = resid_pre if self.parallel else resid_mid
        return self.mlp_output((self.mlp_norm or self.attention_norm)(read))

    def mlp_output(self, normed: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """The MLP's write for its normed input."""
        assert self.mlp is not None
        write = self.mlp(normed)
        return write if self.mlp_post_norm is None else self.mlp_post_norm(write)


@dataclass(frozen=True)
class Decoder:
    """A whole decoder after its embedding, as plain tensors."""

    blocks: tuple[Block, ...]
    final_norm: Norm | None
    W_U: Float[Tensor, "d_model d_vocab"]
    b_U: Float[Tensor, " d_vocab"] | None
    logit_softcap: float | None

    @property
    def graph(self) -> Graph:
        """Its writers, readers and edges."""
        first = self.blocks[0]
        return Graph(len(self.blocks), len(first.attention.W_Q), first.mlp is not None, first.parallel)

    def logits(
        self, resid: Float[Tensor, "*rows d_model"], tokens: Tensor | None = None
    ) -> Float[Tensor, "*rows token"]:
        """Logits of `tokens` [k], or of the whole vocabulary."""
        return self.unembed(self.normed(resid), tokens)

    def normed(self, resid: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """What the logits are made of: the final residual stream after its norm."""
        return resid if self.final_norm is None else self.final_norm(resid)

    def direct_share(
        self, write: Float[Tensor, "*rows d_model"], resid: Float[Tensor, "*rows d_model"]
    ) -> Float[Tensor, "*rows d_model"]:
        """What the final norm makes of `write`, a part of the final stream `resid`, under that one's scale.

        Times `W_U` it is the write's direct logit effect: a part of the logits before a softcap and without
        biases.
        """
        norm = self.final_norm
        return write if norm is None else norm.share(write, norm.scale(resid))

    def unembed(
        self, normed: Float[Tensor, "*rows d_model"], tokens: Tensor | None = None
    ) -> Float[Tensor, "*rows token"]:
        """Logits of `tokens` [k], or of the whole vocabulary, from the normed residual stream."""
        W_U = self.W_U if tokens is None else self.W_U[:, tokens]
        b_U = self.b_U if tokens is None or self.b_U is None else self.b_U[tokens]
        logits = affine(normed, W_U, b_U)
        return logits if self.logit_softcap is None else softcapped(logits, self.logit_softcap)


def softcapped(x: Tensor, cap: float) -> Tensor:
    """``cap * tanh(x / cap)``: the identity for small x, bounded by cap."""
    return cap * torch.tanh(x / cap)
