"""Cutting a sweep into pieces: batches of edges that fit in memory.

Edges of one destination layer make the largest matrix products, so most pieces hold one layer. The
first pieces of a sweep in order hold what comes first in it, from whatever layers: whoever watches
wants the strongest paths measured before the rest.

The composition of the pieces depends on the arguments alone, so that a stored piece can be
recognised by its index when a sweep is resumed, and recomputing it would give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from jaxtyping import Float, Int

from analysis.decoder import Decoder
from analysis.errors import PathscopeError
from analysis.memory import free_bytes, mebibytes
from analysis.nodes import causal_edges
from analysis.policy import policy
from analysis.settings import settings
from analysis.sweep.replay import Suffix

#: Token positions per matrix product: past this many, a product runs no faster, and the memory
#: it touches leaves the processor's caches.
POSITIONS_AT_ONCE = 2048

#: Token positions that a product should have: with fewer it runs markedly slower.
POSITIONS_AT_LEAST = 512

#: Operations of one block at once: a sweep can only be stopped between blocks, and this many take
#: a quarter of a second on two cores.
OPERATIONS_AT_ONCE = 4e10

#: Operations of a whole piece, where that leaves products large enough: half a second, because
#: whoever watches sees a piece only when it is finished.
OPERATIONS_OF_A_PIECE = 8e10

#: Edges that a sweep in order measures before all others, whatever their layers: more than a table of
#: the strongest shows, and few, because products of a few rows of each layer run slower.
EDGES_AT_FIRST = 256

Edges = Int[np.ndarray, "edge 4"]


@dataclass(frozen=True)
class Piece:
    """A finished part of a sweep.

    `values[e]` is the metric with the path of `edges[e]` (sl, sh, dl, dh) patched, averaged over
    the prompts; `per_prompt[e, b]` is the one of prompt pair b (absent for metrics that only give
    one number for the batch).
    """

    index: int
    edges: Edges
    values: Float[np.ndarray, " edge"]
    per_prompt: Float[np.ndarray, "edge batch"] | None


def edges_of(n_layers: int, n_heads: int, sources: Sequence[tuple[int, int]] | None) -> Edges:
    """Every causal edge from `sources` (all heads if None), by destination head, then source.

    All sources of one destination head together make the largest matrix products.
    """
    edges = np.argwhere(causal_edges(n_layers, n_heads))
    if sources is not None:
        flat = [layer * n_heads + head for layer, head in sources]
        edges = edges[np.isin(edges[:, 0] * n_heads + edges[:, 1], flat)]
    return edges[np.lexsort((edges[:, 1], edges[:, 0], edges[:, 3], edges[:, 2]))]


def ordered(edges: Edges, order: Edges) -> tuple[Edges, int]:
    """`edges` in the sequence of `order`, and how many of them it names; the others follow as they stood."""
    rank = {tuple(edge): i for i, edge in enumerate(np.asarray(order).tolist())}
    keys = np.array([rank.get(tuple(edge), len(rank)) for edge in edges.tolist()], dtype=np.int64)
    return edges[np.argsort(keys, kind="stable")], int((keys < len(rank)).sum())


def cut(edges: Edges, edges_at_once: dict[int, int], n_first: int = 0) -> tuple[Edges, ...]:
    """Pieces of the first `n_first` edges, whatever their layers, then of one destination layer each.

    `edges_at_once[dl]` limits a piece whose lowest destination layer is dl; pieces are as even as
    possible. Those of one layer come in the sequence of their first edge in `edges`. Inside a piece edges
    are sorted by destination head, then source, which groups the products.
    """
    first, rest = edges[:n_first], edges[n_first:]
    lowest = min((edges_at_once[layer] for layer in set(first[:, 2].tolist())), default=1)
    pieces = []
    for layer, limit in edges_at_once.items():
        (where,) = np.nonzero(rest[:, 2] == layer)
        pieces += [(part[0], rest[part]) for part in _evenly(where, limit)]
    by_layer = [chosen for _, chosen in sorted(pieces, key=lambda piece: piece[0])]
    return tuple(
        chosen[np.lexsort((chosen[:, 1], chosen[:, 0], chosen[:, 3], chosen[:, 2]))]
        for chosen in [*_evenly(first, lowest), *by_layer]
    )


def _evenly(rows: np.ndarray, limit: int) -> list[np.ndarray]:
    """`rows` in the fewest parts of at most `limit`; none of no rows."""
    return np.array_split(rows, -(-len(rows) // limit)) if len(rows) else []


def bytes_per_edge(decoder: Decoder, suffix: Suffix, batch: int, itemsize: int, logits_width: int) -> int:
    """Peak memory of one edge's rows: hidden layers, attention scores, residual streams, logits."""
    block = decoder.blocks[0]
    heads, d_model, d_head = block.attention.W_Q.shape
    d_mlp = 0 if block.mlp is None else block.mlp.W_in.shape[1] * (2 if block.mlp.W_gate is None else 3)
    scores = 3 * heads * suffix.n_positions
    per_position = d_mlp + 5 * heads * d_head + 4 * d_model + scores
    return itemsize * batch * (suffix.length * per_position + 2 * logits_width)


def edges_at_once(
    memory_bytes: int, per_edge: int, positions_per_edge: int, weights_per_block: int, blocks: int
) -> int:
    """How many edges a piece that runs through `blocks` blocks may hold.

    Raises `PathscopeError` if not even one fits.
    """
    shown_in_time = OPERATIONS_OF_A_PIECE / (2 * weights_per_block * blocks)
    stopped_in_time = OPERATIONS_AT_ONCE / (2 * weights_per_block)
    positions = min(POSITIONS_AT_ONCE, max(POSITIONS_AT_LEAST, shown_in_time), stopped_in_time)
    if per_edge > memory_bytes:
        raise PathscopeError(
            f"One patched row needs {per_edge / 2**20:.3g} MiB, more than the sweep's memory budget of "
            f"{memory_bytes / 2**20:.3g} MiB. Raise PATHSCOPE_SWEEP_BYTES or memory_bytes, or use shorter "
            "prompts."
        )
    return max(1, min(memory_bytes // per_edge, ceil(positions / max(1, positions_per_edge))))


def check_room(bytes_at_once: int, device: torch.device) -> None:
    """Raise `PathscopeError` where the rows of one piece take more than this process may still hold.

    On an accelerator they lie in its own memory, of which nothing is said here.
    """
    free = free_bytes(settings().memory_bytes or None)
    if device.type == "cpu" and free is not None and bytes_at_once > free:
        raise PathscopeError(
            f"One piece of this work takes {mebibytes(bytes_at_once)}, and {mebibytes(free)} of memory are "
            "free. Use shorter prompts"
            + policy().way_out(
                ", lower PATHSCOPE_SWEEP_BYTES, let fewer models stay loaded (PATHSCOPE_MODELS), or allow "
                "more (PATHSCOPE_MEMORY_BYTES)."
            )
        )


def weights_per_block(d_model: int, d_attention: int, d_mlp: int) -> int:
    """Multiply-adds per position of one block's products; a gated MLP counts as an ungated one."""
    return 4 * d_model * d_attention + 2 * d_model * d_mlp
