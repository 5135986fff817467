"""Sets of edges patched together, with replace semantics, many sets at once.

Every reader sees ``its residual stream + sum over its patched writers of (other run's write - that writer's
current write)``. The current write is that of the patched run itself, so a writer that an earlier edge has
moved already is not counted twice. All edges together give the other run, no edge gives the run itself.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.edges.rows import EdgeSet, SetReplay, SetRows, Sets, per_head
from analysis.sweep import StopCheck


class JointReplay(SetReplay):
    """The run of an exchange with sets of edges patched, each writer's current write replaced.

    Norms are recomputed, whatever the exchange does with those of one edge.
    """

    def rows(self, sets: Sets) -> SetRows:
        """See `SetReplay`."""
        return _ReplacedRows(self, sets)

    def rows_kept(self, sets: Sets) -> int:
        """See `SetReplay`: what each set's writers lack to the other run, read and written."""
        return 2 * int(sets.any((0, 2)).sum())

    def gradient(self, patched: EdgeSet, check_stop: StopCheck) -> Float[np.ndarray, "writer reader"]:
        """The metric's gradient at the share to which each edge carries the other run, in the run of one set.

        What patching one more edge of a set would change, to first order, is its entry; what taking one
        out of the set would change is minus its entry. 0 where there is no edge. Raises `MetricError`
        for a metric without a gradient.
        """
        with torch.enable_grad():
            rows = _ReplacedRows(self, self.graph.exists[None])
            rows.shares = rows.shares.new_tensor(patched[None]).requires_grad_()
            for layer in range(self.graph.n_layers):
                check_stop()
                rows.through(layer)
            value = self.replay.readout.differentiable(rows.normed(), self.replay.suffix)
            (found,) = torch.autograd.grad(value, rows.shares)
        return np.where(self.graph.exists, found[0].cpu().double().numpy(), 0.0)


class _ReplacedRows(SetRows):
    """Keeps, for every writer, how far its write in each row so far is from the other run's."""

    def __init__(self, joint: JointReplay, sets: Sets) -> None:
        super().__init__(joint, sets)
        self._other = joint.other
        first, other = (
            run.layers[0].resid_pre[:, None, self._suffix.positions]
            for run in (joint.replay.run, joint.other)
        )
        #: Writers that any set patches somewhere; of no other need the write be kept.
        self._used: Int[np.ndarray, " writer"] = np.nonzero(sets.any((0, 2)))[0]
        #: To which share each edge carries the other run: 1.0 where a set has it.
        self.shares = torch.from_numpy(sets[:, self._used]).to(first)
        #: The other run's write minus the current one [batch set writer pos d_model].
        self._behind = first.new_empty(len(first), len(sets), len(self._used), *first.shape[2:])
        self._written = 0
        self._write(0, (other - first)[:, :, None])

    def _write(self, writer: int, behind: Float[Tensor, "batch *set writer pos d_model"]) -> None:
        """Keep what the writers from index `writer` on lack to the other run's writes."""
        here = (self._used >= writer) & (self._used < writer + behind.shape[2])
        if not here.any():
            return
        chosen = torch.as_tensor(self._used[here] - writer, device=behind.device)
        last = self._written + len(chosen)
        new = behind[:, :, chosen].expand(-1, len(self.shares), -1, -1, -1)
        if torch.is_grad_enabled():  # what has been read must stay as it was
            self._behind = torch.cat([self._behind[:, :, : self._written], new], dim=2)
        else:
            self._behind[:, :, self._written : last] = new
        self._written = last

    def _keep(self, kept: slice) -> None:
        super()._keep(kept)
        self._behind = self._behind[:, :, :, kept]

    def _patched(
        self, readers: Int[np.ndarray, " reader"], at: slice
    ) -> Float[Tensor, "batch set reader pos d_model"]:
        columns = torch.as_tensor(readers, device=self.shares.device)
        behind = self._behind[:, :, : self._written, at]
        carried = torch.matmul(self.shares[:, : self._written, columns].mT, behind.flatten(3))
        return carried.unflatten(-1, behind.shape[3:]).add_(self._resid[:, :, None, at])

    def _heads_write(
        self, layer: int, z: Float[Tensor, "batch set query head d_head"]
    ) -> Float[Tensor, "batch set query d_model"]:
        """The attention layer's write; of each head is kept what its own lacks to the other run's."""
        block, other = self._replay.decoder.blocks[layer], self._other.layers[layer]
        W_O, norm, first = block.attention.W_O, block.attention_post_norm, self._graph.first_writer(layer)
        queries = self._queries(layer)
        other_z, own = (x.transpose(2, 3) for x in (other.z[:, None, queries], z))
        if norm is None:
            behind = per_head(other_z - own, W_O)
            self._write(first, behind)
            return other.attention_output[:, None, queries] - behind.sum(2)
        output = block.attention.output(z)
        there = norm.share(per_head(other_z, W_O), norm.scale(other.attention_output[:, None, None, queries]))
        self._write(first, there - norm.share(per_head(own, W_O), norm.scale(output)[:, :, None]))
        return norm(output)

    def _mlp_wrote(self, layer: int, write: Float[Tensor, "batch set query d_model"]) -> None:
        other = self._other.layers[layer].mlp_write
        assert other is not None
        first = self._graph.first_writer(layer) + self._graph.n_heads
        self._write(first, (other[:, None, self._queries(layer)] - write)[:, :, None])
