"""What every writer of the residual graph brings: the difference of its writes between the two runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from analysis.decoder import Decoder
from analysis.nodes import Graph
from analysis.sweep.replay import CorruptedRun, Suffix
from analysis.sweep.source import SourceWrites, differs, only_at, source_writes


@dataclass(frozen=True)
class Writes:
    """The other run's write minus this run's of every writer of `graph`, made on demand.

    `stream` holds what ``embed`` and then each layer's MLP bring; it is empty where only heads are
    asked for.
    """

    graph: Graph
    heads: SourceWrites
    stream: tuple[Float[Tensor, "batch pos d_model"], ...] = ()

    @classmethod
    def between(cls, decoder: Decoder, run: CorruptedRun, other: CorruptedRun, start: int) -> Writes:
        """What changes from `run` to `other`; their tokens are the same before the position `start`."""
        n_positions = run.resid_final.shape[1]
        heads = source_writes(
            run_activations(decoder, other),
            run_activations(decoder, run),
            tuple(block.attention.W_O for block in decoder.blocks),
            tuple(block.attention_post_norm for block in decoder.blocks),
            range(start, n_positions),
        )
        pairs = [(other.layers[0].resid_pre, run.layers[0].resid_pre)]
        for there, here in zip(other.layers, run.layers, strict=True):
            if there.mlp_write is not None and here.mlp_write is not None:
                pairs.append((there.mlp_write, here.mlp_write))
        later = (torch.arange(n_positions, device=run.resid_final.device) >= start)[:, None]
        stream = tuple((there - here) * (differs(there, here) & later) for there, here in pairs)
        return cls(decoder.graph, heads, stream)

    def delta(
        self, writers: Int[np.ndarray, " writer"], suffix: Suffix
    ) -> Float[Tensor, "batch writer pos d_model"]:
        """What `writers` (indices in the graph) bring at the positions of the suffix, in residual units."""
        places = self.graph.writer_places[writers]
        of_head = self._of_head(places)
        device = self.heads.delta_z[0].device
        (rows,) = np.nonzero(of_head)
        found = self.heads.delta(torch.as_tensor(places[rows], device=device), suffix)
        if of_head.all():
            return found
        whole = found.new_empty(found.shape[0], len(writers), *found.shape[2:])
        whole[:, torch.as_tensor(rows, device=device)] = found
        for row in np.nonzero(~of_head)[0].tolist():
            whole[:, row] = self.stream[places[row, 0] + 1][:, suffix.positions]
        return whole

    def factors(
        self, writers: Int[np.ndarray, " writer"], suffix: Suffix
    ) -> tuple[Float[Tensor, "batch writer pos d_head"], Float[Tensor, "writer d_head d_model"]] | None:
        """``(z, W_O)`` whose product is `delta`, where all `writers` are heads without a norm after them."""
        places = self.graph.writer_places[writers]
        if not self._of_head(places).all():
            return None
        return self.heads.factors(torch.as_tensor(places), suffix)

    def at(self, position: int) -> Writes:
        """What is brought at one position alone."""
        stream = tuple(only_at(write, position) for write in self.stream)
        return Writes(self.graph, self.heads.at(position), stream)

    def silent(self, writer: int) -> bool:
        """Whether this writer writes the same in both runs, wherever a patch is made."""
        layer, head = self.graph.writer_places[writer].tolist()
        if self._of_head(self.graph.writer_places[writer]):
            return self.heads.silent(layer, head)
        return not bool(self.stream[layer + 1].any())

    def _of_head(self, places: Int[np.ndarray, "*writer 2"]) -> Bool[np.ndarray, "*writer"]:
        return np.asarray(places[..., 1] < self.graph.n_heads)


def run_activations(decoder: Decoder, run: CorruptedRun) -> dict[str, Tensor]:
    """What `source_writes` reads of a run, by TransformerLens's names: each layer's z and scales."""
    found: dict[str, Tensor] = {}
    for layer, (block, of_layer) in enumerate(zip(decoder.blocks, run.layers, strict=True)):
        found[f"blocks.{layer}.attn.hook_z"] = of_layer.z
        found[f"blocks.{layer}.ln1.hook_scale"] = block.attention_norm.scale(of_layer.resid_pre)
        if block.attention_post_norm is not None:
            scale = block.attention_post_norm.scale(of_layer.attention_output)
            found[f"blocks.{layer}.ln1_post.hook_scale"] = scale
    return found
