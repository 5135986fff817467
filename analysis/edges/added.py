"""Sets of edges patched together, each edge adding the difference that it carries alone, many sets at once.

Every reader sees ``its residual stream + sum over its patched writers of (other run's write - this run's
write)``. Of one edge alone that is what `analysis.edges.effects` measures. Of many it is no circuit, as what
comes through a writer that an earlier edge has moved counts twice; but their effects add up much better than
with replaced writes (`analysis.edges.joint`), where every moved writer takes from what its edges carry.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.decoder import Norm
from analysis.edges.rows import SetReplay, SetRows, Sets
from analysis.sweep import patched_norm

#: Writers whose differences are made together.
WRITERS_AT_ONCE = 128


class AddedReplay(SetReplay):
    """The run of an exchange with sets of edges patched, each carrying the same as it does alone."""

    @cached_property
    def _made(self) -> dict[int, Float[Tensor, "batch writer pos d_model"]]:
        """What has been made of `brought`, within half of the memory budget."""
        return {}

    def brought(self, first: int) -> Float[Tensor, "batch writer pos d_model"]:
        """What `WRITERS_AT_ONCE` writers from index `first` on bring, the same for all sets."""
        if first in self._made:
            return self._made[first]
        writers = np.arange(first, min(first + WRITERS_AT_ONCE, len(self.graph.writers)))
        found = self.replay.writes.delta(writers, self.replay.suffix)
        if (len(self._made) + 1) * found.nbytes <= self.memory_bytes // 2:
            self._made[first] = found
        return found

    def rows(self, sets: Sets) -> SetRows:
        """See `SetReplay`."""
        return _AddedRows(self, sets)

    def rows_kept(self, sets: Sets) -> int:
        """See `SetReplay`: none."""
        return 0


class _AddedRows(SetRows):
    """Asks for what the writers bring at every reader."""

    def __init__(self, added: AddedReplay, sets: Sets) -> None:
        super().__init__(added, sets)
        self._added, self._shares = added, torch.from_numpy(sets).to(self._resid)
        self._kept = slice(None)

    def _keep(self, kept: slice) -> None:
        super()._keep(kept)
        self._kept = kept

    def _patched(
        self, readers: Int[np.ndarray, " reader"], at: slice
    ) -> Float[Tensor, "batch set reader pos d_model"]:
        columns = torch.as_tensor(readers, device=self._shares.device)
        shares = self._shares[:, :, columns].mT.flatten(0, 1)
        seen = self._resid[:, :, None, at].repeat(1, 1, len(readers), 1, 1)
        rows = seen.view(len(seen), len(shares), -1)
        n_earlier = int(self._graph.exists[:, readers].any(axis=1).sum())
        for first in range(0, n_earlier, WRITERS_AT_ONCE):
            brought = self._added.brought(first)[:, : n_earlier - first, self._kept][:, :, at]
            part = shares[:, first : first + brought.shape[1]].expand(len(seen), -1, -1)
            rows.baddbmm_(part, brought.flatten(2))
        return seen

    def _normed(
        self,
        norm: Norm,
        seen: Float[Tensor, "batch set reader pos d_model"],
        resid: Float[Tensor, "batch set 1 pos d_model"],
        *,
        by_heads: bool = False,
    ) -> Float[Tensor, "batch set reader pos d_model"]:
        """As in `SetRows`; frozen, the scale is that of the stream without the patched edges.

        Before heads what they bring is then divided by it, and no more.
        """
        if not self._added.frozen:
            return norm(seen)
        if by_heads:
            return norm(resid) + (seen - resid) / norm.scale(resid)
        return patched_norm(norm, resid, seen - resid, frozen=True)

    def _heads_write(
        self, layer: int, z: Float[Tensor, "batch set query head d_head"]
    ) -> Float[Tensor, "batch set query d_model"]:
        block = self._replay.decoder.blocks[layer]
        return block.attention_write(block.attention.output(z))

    def _mlp_wrote(self, layer: int, write: Float[Tensor, "batch set query d_model"]) -> None:
        """What it brings stays as it is."""
