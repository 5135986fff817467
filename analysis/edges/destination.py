"""A reader's own part, computed exactly for every writer, and what its output then does to first order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.decoder import Block, Norm
from analysis.edges.brought import Brought, Entry
from analysis.requests import HEAD_INPUTS
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

    def projected(
        self, component: str, brought: Brought, positions: slice
    ) -> Float[Tensor, "batch writer pos head d_head"]:
        """q, k or v of every head at `positions` under each patch."""
        here = {"q": self.run.q_projected, "k": self.run.k_projected, "v": self.run.v_projected}[component]
        entry = self.entries[component]
        if not self.frozen:
            return brought.into(entry).unflatten(-1, here.shape[2:])
        # TransformerLens's frozen norm divides what is brought by the scale, and does no more.
        change = brought.product(entry.weight) / entry.norm.scale(entry.resid)
        return change.unflatten(-1, here.shape[2:]) + here[:, None, positions]

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """By the name of what is made: q, k, v, and of the MLP ``in`` and ``gate``."""
        block = self.block
        found: dict[str, Entry] = {}
        for component in HEAD_INPUTS:
            positions = self.queries if component == "q" else self.suffix.positions
            resid, into = self.run.resid_pre[:, None, positions], block.attention.matrix(component)
            found[component] = Entry(block.attention_norm, resid, *into, frozen=self.frozen)
        if (mlp := block.mlp) is not None:
            enter = partial(Entry, self.mlp_norm, self.mlp_reads, frozen=self.frozen)
            found["in"] = enter(weight=mlp.W_in, bias=mlp.b_in)
            if mlp.W_gate is not None:
                found["gate"] = enter(weight=mlp.W_gate, bias=mlp.b_gate)
        return found

    @property
    def mlp_norm(self) -> Norm:
        """The norm that the MLP reads through."""
        return self.block.mlp_norm or self.block.attention_norm

    @cached_property
    def mlp_reads(self) -> Float[Tensor, "batch 1 query d_model"]:
        """The residual stream that the MLP reads in the run."""
        resid, block = self.run.resid_pre[:, None, self.queries], self.block
        if block.parallel:
            return resid
        return resid + block.attention_write(self.run.attention_output[:, None, self.queries])

    @cached_property
    def mlp_makes(self) -> Float[Tensor, "batch 1 query d_made"]:
        """What the MLP makes of that: its hidden layer, in which its output is linear, or `_made` of it."""
        assert self.block.mlp is not None
        return self._made(self.block.mlp.hidden(self.mlp_norm(self.mlp_reads)))

    def mlp_made(self, brought: Brought) -> Float[Tensor, "batch writer query d_made"]:
        """`mlp_makes` under each patch."""
        mlp, norm = self.block.mlp, self.mlp_norm
        assert mlp is not None
        if brought.folds:
            gate = self.entries.get("gate")
            hidden = mlp.activated(
                brought.into(self.entries["in"]), None if gate is None else brought.into(gate)
            )
            return self._made(hidden)
        return self._made(mlp.hidden(patched_norm(norm, self.mlp_reads, brought.delta, self.frozen)))

    def _made(self, hidden: Float[Tensor, "*rows d_mlp"]) -> Float[Tensor, "*rows d_made"]:
        """The output where a norm follows it, which is not linear."""
        post_norm, mlp = self.block.mlp_post_norm, self.block.mlp
        assert mlp is not None
        return hidden if post_norm is None else post_norm(mlp.write(hidden))


def into_heads(
    reader: Reader,
    component: str,
    brought: Brought,
    gradient: Float[Tensor, "batch query head d_head"],
) -> Float[Tensor, "batch writer head"]:
    """The effect of each writer's patch in q, k or v of each head: its z exact, linear after it."""
    positions = reader.queries if component == "q" else reader.suffix.positions
    here = brought.at(reader.kept) if component == "q" else brought
    projected = reader.projected(component, here, positions)
    patched = reader.block.attention.attended(projected, component, positions)
    if component == "v":
        return _through_values(reader, patched, gradient)
    if component == "q":
        return _through_pattern(reader, _by_key_head(patched, reader), None, gradient)
    return _through_pattern(reader, None, patched.permute(0, 3, 1, 2, 4).contiguous().mT, gradient)


def _by_key_head(
    x: Float[Tensor, "batch *writer query head d_head"], reader: Reader
) -> Float[Tensor, "batch key_head *writer queries_per_key query d_head"]:
    """Query heads sorted by the key head that they share."""
    return x.unflatten(-2, (-1, reader.block.attention.queries_per_key)).movedim((-3, -2), (1, -3))


def _through_pattern(
    reader: Reader,
    patched_q: Float[Tensor, "batch key_head writer queries_per_key query d_head"] | None,
    patched_k: Float[Tensor, "batch key_head writer d_head pos"] | None,
    gradient: Float[Tensor, "batch query head d_head"],
) -> Float[Tensor, "batch writer head"]:
    """The effect of patched queries or of patched keys: the pattern under the patch, exactly."""
    attention, run, start = reader.block.attention, reader.run, reader.suffix.start
    keys, values = run.k.permute(0, 2, 3, 1), run.v.permute(0, 2, 3, 1)
    q, at_z = (_by_key_head(part, reader) for part in (run.q[:, reader.queries], gradient))
    found: Tensor | float = 0.0
    for rows, n_keys, visible in attention.blocks(reader.queries, reader.suffix.n_positions):
        own = _product(q[..., rows, :], keys[..., :n_keys])
        # The metric's gradient at the pattern. What it is on average under the run's own pattern moves
        # nothing, as every pattern sums to 1.
        slope = _product(at_z[..., rows, :], values[..., :n_keys])
        if patched_k is not None:
            on_suffix = _product(q[:, :, None, :, rows], patched_k[..., : n_keys - start])
            on_prefix = own[:, :, None, ..., :start].expand(*on_suffix.shape[:-1], -1)
            scores = torch.cat([on_prefix, on_suffix], dim=-1)
        else:
            assert patched_q is not None
            of_rows = patched_q[..., rows, :]
            scores = (of_rows.flatten(2, 4) @ keys[..., :n_keys]).unflatten(2, of_rows.shape[2:5])
        slope = slope - (slope * attention.pattern(own, visible)).sum(-1, keepdim=True)
        found = found + attention.pattern(scores, visible).mul_(slope[:, :, None]).sum((-1, -2))
    assert isinstance(found, Tensor)
    return found.transpose(1, 2).flatten(2)


def _product(
    left: Float[Tensor, "*rows queries_per_key query d_in"], right: Float[Tensor, "*rows d_in d_out"]
) -> Float[Tensor, "*rows queries_per_key query d_out"]:
    """The product for all query heads of a key head, which is the same for them, in one."""
    return (left.flatten(-3, -2) @ right).unflatten(-2, left.shape[-3:-1])


def _through_values(
    reader: Reader,
    patched: Float[Tensor, "batch writer pos key_head d_head"],
    gradient: Float[Tensor, "batch query head d_head"],
) -> Float[Tensor, "batch writer head"]:
    """The effect of patched values: z is linear in them."""
    attention, run, suffix = reader.block.attention, reader.run, reader.suffix
    q, at_z = (_by_key_head(part, reader) for part in (run.q[:, reader.queries], gradient))
    scores = _product(q, run.k.permute(0, 2, 3, 1))
    pattern = attention.pattern(scores, attention.visible(reader.queries, suffix.n_positions))
    wanted = pattern[..., suffix.positions].mT @ at_z
    change = patched - run.v[:, None, suffix.positions]
    return torch.einsum("bwpkd,bkgpd->bwkg", change, wanted).flatten(2)


def into_mlp(
    reader: Reader, brought: Brought, gradient: Float[Tensor, "batch query d_model"]
) -> Float[Tensor, "batch writer 1"]:
    """The effect of each writer's patch in the MLP's input: its output exact, linear after it."""
    mlp = reader.block.mlp
    assert mlp is not None
    if reader.block.mlp_post_norm is None:
        gradient = mlp.multiplier * (gradient @ mlp.W_out.mT)
    change = reader.mlp_made(brought.at(reader.kept)).sub_(reader.mlp_makes)
    return change.flatten(2) @ gradient.flatten(1)[..., None]
