"""What writers bring to a reader, and the reader's linear map of it, for many writers at once.

What a head brings is ``z @ W_O``, of rank d_head. In long prompts that is mapped as ``z @ (W_O @ W)``,
without the residual stream in between, in a third of the operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from analysis.decoder import Norm, affine
from analysis.nodes import Graph
from analysis.sweep import EdgeReplay, patched_norm


@dataclass(frozen=True)
class Brought:
    """The difference of some writers' writes; of heads without a norm after them also what it is made of."""

    delta: Float[Tensor, "batch writer pos d_model"]
    z: Float[Tensor, "batch writer pos d_head"] | None = None
    W_O: Float[Tensor, "writer d_head d_model"] | None = None

    @classmethod
    def by(cls, replay: EdgeReplay, writers: Int[np.ndarray, " writer"]) -> Brought:
        """What `writers` bring, which are all heads or none."""
        delta = replay.writes.delta(writers, replay.suffix)
        made_of = replay.writes.factors(writers, replay.suffix)
        return cls(delta) if made_of is None else cls(delta, *made_of)

    def first(self, n_writers: int) -> Brought:
        """What the first writers bring."""
        z, W_O = self.z, self.W_O
        kept = None if z is None else z[:, :n_writers], None if W_O is None else W_O[:n_writers]
        return Brought(self.delta[:, :n_writers], *kept)

    def at(self, positions: slice) -> Brought:
        """What is brought at some positions."""
        return Brought(
            self.delta[:, :, positions], None if self.z is None else self.z[:, :, positions], self.W_O
        )

    @property
    def folds(self) -> bool:
        """Whether it is known what it is made of, and pays to map that."""
        return self.W_O is not None and folding_pays(*self.delta.shape[::2], *self.W_O.shape[1:])

    def product(self, matrix: Float[Tensor, "d_model d_out"]) -> Float[Tensor, "batch writer pos d_out"]:
        """``delta @ matrix``."""
        if not self.folds:
            return affine(self.delta, matrix, None)
        assert self.z is not None and self.W_O is not None
        return self.z @ (self.W_O @ matrix)

    def into(self, entry: Entry) -> Float[Tensor, "batch writer pos d_out"]:
        """``norm(resid + delta) @ weight + bias``."""
        if not self.folds:
            normed = patched_norm(entry.norm, entry.resid, self.delta, entry.frozen)
            return affine(normed, entry.weight, entry.bias)
        matrix, own, shift = entry.before_the_norm
        product = self.product(matrix)
        product += own
        product /= entry.norm.scale(entry.resid if entry.frozen else entry.resid + self.delta)
        return product if shift is None else product.add_(shift)


@dataclass(frozen=True)
class Entry:
    """Where a reader is entered: its norm and its linear map, for the run's stream `resid` and what is added.

    Frozen, the norm's scale is that of `resid` alone.
    """

    norm: Norm
    resid: Float[Tensor, "batch 1 pos d_model"]
    weight: Float[Tensor, "d_model d_out"]
    bias: Float[Tensor, " d_out"] | None
    frozen: bool

    @cached_property
    def before_the_norm(self) -> tuple[Tensor, Float[Tensor, "batch 1 pos d_out"], Tensor | None]:
        """`(matrix, resid @ matrix, shift)` of `Norm.before`, the shift with the bias in it."""
        matrix, shift = self.norm.before(self.weight)
        if shift is not None and self.bias is not None:
            shift = shift + self.bias
        return matrix, self.resid @ matrix, self.bias if shift is None else shift


def folding_pays(batch: int, n_positions: int, d_head: int, d_model: int) -> bool:
    """Whether it halves the operations to map what heads bring without the residual stream.

    >>> folding_pays(1, 246, 64, 768), folding_pays(1, 54, 64, 768)
    (True, False)
    """
    rows = batch * n_positions
    return 2 * d_head * (d_model + rows) <= rows * d_model


def homogeneous(graph: Graph, writers: Int[np.ndarray, " writer"], at_once: int) -> Iterator[np.ndarray]:
    """`writers`, so many at once, heads apart from the others."""
    heads = graph.writer_places[writers, 1] < graph.n_heads
    for chosen in (writers[heads], writers[~heads]):
        yield from (chosen[first : first + at_once] for first in range(0, len(chosen), at_once))
