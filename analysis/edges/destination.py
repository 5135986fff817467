"""A reader's own part, computed exactly for every writer, and what its output then does to first order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.decoder import Attention, Block
from analysis.sweep import EdgeReplay, LayerRun, Suffix, patched_norm


@dataclass(frozen=True)
class Reader:
    """One layer of the run whose inputs see the patches; its output matters at the positions `queries`."""

    block: Block
    run: LayerRun
    suffix: Suffix
    queries: slice
    frozen: bool

    @classmethod
    def of(cls, replay: EdgeReplay, layer: int, *, frozen: bool) -> Reader:
        """The readers of `layer`."""
        queries = replay.suffix.queries(replay.replay.is_last(layer))
        return cls(replay.decoder.blocks[layer], replay.run.layers[layer], replay.suffix, queries, frozen)

    @property
    def kept(self) -> slice:
        """`queries` within the suffix."""
        return slice(self.queries.start - self.suffix.start, self.queries.stop - self.suffix.start)

    def projected(self, component: str, delta: Tensor, positions: slice) -> Tensor:
        """q, k or v of every head at `positions` under each patch [batch writer pos head d_head]."""
        attention, norm = self.block.attention, self.block.attention_norm
        resid = self.run.resid_pre[:, None, positions]
        if not self.frozen:
            return attention.project(norm(resid + delta), component)
        _, bias = attention.weights(component)
        change = attention.project(delta / norm.scale(resid), component)
        here = {"q": self.run.q_projected, "k": self.run.k_projected, "v": self.run.v_projected}[component]
        return here[:, None, positions] + (change if bias is None else change - bias)


def into_heads(
    reader: Reader,
    component: str,
    delta: Float[Tensor, "batch writer pos d_model"],
    gradient: Float[Tensor, "batch query head d_head"],
) -> Float[Tensor, "batch writer head"]:
    """The effect of each writer's patch in q, k or v of each head: its z exact, linear after it."""
    attention, run = reader.block.attention, reader.run
    positions = reader.queries if component == "q" else reader.suffix.positions
    projected = reader.projected(
        component, delta[:, :, reader.kept] if component == "q" else delta, positions
    )
    patched = attention.attended(projected, component, positions)
    q, at_z = (_by_key_head(part, attention) for part in (run.q[:, reader.queries], gradient))
    keys, values = run.k.permute(0, 2, 3, 1), run.v.permute(0, 2, 3, 1)
    visible = attention.visible(reader.queries, reader.suffix.n_positions).repeat(
        attention.queries_per_key, 1
    )
    pattern = attention.pattern(q @ keys, visible)
    if component == "v":
        return _through_values(reader, patched, pattern, at_z)
    if component == "q":
        rows = _by_key_head(patched.flatten(0, 1), attention).unflatten(0, patched.shape[:2]).transpose(1, 2)
        scores = (rows.flatten(2, 3) @ keys).unflatten(2, rows.shape[2:4])
    else:
        on_suffix = q[:, :, None] @ patched.permute(0, 3, 1, 4, 2)
        on_prefix = (q @ keys[..., : reader.suffix.start])[:, :, None]
        scores = torch.cat([on_prefix.expand(-1, -1, on_suffix.shape[2], -1, -1), on_suffix], dim=-1)
    change = attention.pattern(scores, visible).sub_(pattern[:, :, None])
    # at_z @ values: the metric's gradient at the pattern.
    found = torch.einsum("bkwqn,bkqn->bwkq", change, at_z @ values)
    return found.unflatten(3, (attention.queries_per_key, -1)).sum(-1).flatten(2)


def _by_key_head(
    x: Float[Tensor, "batch query head d_head"], attention: Attention
) -> Float[Tensor, "batch key_head queries_per_key*query d_head"]:
    """Query heads sorted by the key head that they share, those of one key head below each other."""
    return x.unflatten(2, (-1, attention.queries_per_key)).permute(0, 2, 3, 1, 4).flatten(2, 3)


def _through_values(
    reader: Reader, patched: Tensor, pattern: Tensor, at_z: Tensor
) -> Float[Tensor, "batch writer head"]:
    """The effect of patched values: z is linear in them."""
    of_group = (reader.block.attention.queries_per_key, -1)
    wanted = pattern.unflatten(2, of_group).mT @ at_z.unflatten(2, of_group)
    change = patched - reader.run.v[:, None, reader.suffix.positions]
    return torch.einsum("bwpkd,bkgpd->bwkg", change, wanted[..., reader.suffix.positions, :]).flatten(2)


def into_mlp(
    reader: Reader,
    delta: Float[Tensor, "batch writer pos d_model"],
    gradient: Float[Tensor, "batch query d_model"],
) -> Float[Tensor, "batch writer 1"]:
    """The effect of each writer's patch in the MLP's input: its output exact, linear after it."""
    block, run = reader.block, reader.run
    mlp = block.mlp
    assert mlp is not None
    resid = run.resid_pre[:, None, reader.queries]
    if not block.parallel:
        resid = resid + block.attention_write(run.attention_output[:, None, reader.queries])
    norm = block.mlp_norm or block.attention_norm
    patched = patched_norm(norm, resid, delta[:, :, reader.kept], reader.frozen)
    if block.mlp_post_norm is not None:
        change = block.mlp_output(patched) - block.mlp_output(norm(resid))
    else:
        change = mlp.hidden(patched).sub_(mlp.hidden(norm(resid)))
        gradient = mlp.multiplier * (gradient @ mlp.W_out.mT)
    return torch.einsum("bwqm,bqm->bw", change, gradient)[..., None]
