"""How many floating-point operations the matrix products of a piece need: the plan's own count.

Counts two operations per multiply-add of the replayed products (projections, attention, MLP);
elementwise work, the patches themselves and the readout of a few logits are left out.
"""

from __future__ import annotations

import numpy as np

from analysis.decoder import Block, Decoder
from analysis.sweep.destination import can_fold
from analysis.sweep.pieces import Edges
from analysis.sweep.replay import Suffix


def piece_flops(decoder: Decoder, suffix: Suffix, batch: int, edges: Edges) -> float:
    """Operations of one piece: each edge's destination block, then every block above it."""
    last = len(decoder.blocks) - 1

    def queries(index: int) -> int:
        kept = suffix.queries(index == last)
        return kept.stop - kept.start

    total = 0.0
    layers, counts = np.unique(edges[:, 2], return_counts=True)
    for layer, n_edges in zip(layers.tolist(), counts.tolist(), strict=True):
        of_row = _destination(decoder.blocks[layer], queries(layer), suffix, batch, n_edges)
        for index in range(layer + 1, last + 1):
            of_row += _block(decoder.blocks[index], queries(index), suffix)
        total += n_edges * of_row
    return 2.0 * batch * total


def _destination(block: Block, queries: int, suffix: Suffix, batch: int, n_edges: int) -> float:
    """Multiply-adds of one row in its destination block."""
    _, d_model, d_head = block.attention.W_Q.shape
    own_head = 2 * queries * d_model * d_head + 2 * queries * suffix.n_positions * d_head
    if block.mlp is None or block.parallel:
        return own_head
    d_mlp = block.mlp.W_in.shape[1]
    entry = d_head + batch * queries + 2 if can_fold(block, batch * queries, n_edges) else d_model
    gate = 0 if block.mlp.W_gate is None else d_model
    return own_head + queries * d_mlp * (entry + gate + d_model)


def _block(block: Block, queries: int, suffix: Suffix) -> float:
    """Multiply-adds of one row in a block above its destination."""
    heads, d_model, d_head = block.attention.W_Q.shape
    key_heads = block.attention.W_K.shape[0]
    projections = d_model * d_head * 2 * (heads * queries + key_heads * suffix.length)
    attended = 2 * heads * d_head * queries * suffix.n_positions
    if block.mlp is None:
        return projections + attended
    matrices = 2 if block.mlp.W_gate is None else 3
    return projections + attended + queries * matrices * d_model * block.mlp.W_in.shape[1]
