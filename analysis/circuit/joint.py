"""Sets of edges patched together, by their labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.circuit.pair import joint_metric
from analysis.edges import Exchange
from analysis.metrics import PatchingMetric

Edges = Iterable[Sequence[str]]


def patch_edges(
    model: Any,
    tokens: Int[Tensor, "batch pos"],
    other_tokens: Int[Tensor, "batch pos"],
    edges: Edges,
    metric: PatchingMetric,
    *,
    memory_bytes: int | None = None,
) -> Float[Tensor, ""]:
    """The metric of the run on `tokens` in which every edge of `edges` carries the run on `other_tokens`.

    One forward pass in which each reader sees ``its residual stream + sum over its patched writers of
    (write in the other run - current write)``, the norms recomputed: replace semantics, never the sum of
    constant differences. All edges of `residual_graph(model)` give the metric of the other run, none that
    of the run itself. `edges` are pairs of labels such as ``("L0H7", "L2H5.v")``. In the metric's unit.

    Raises `UnsupportedModelError` where the replay does not know or does not reproduce the model, and
    beside somebody's hooks; `PathscopeError`, or one of its kinds, for whatever does not fit together.
    """
    return patch_edge_sets(model, tokens, other_tokens, [edges], metric, memory_bytes=memory_bytes)[0]


def patch_edge_sets(
    model: Any,
    tokens: Int[Tensor, "batch pos"],
    other_tokens: Int[Tensor, "batch pos"],
    edge_sets: Iterable[Edges],
    metric: PatchingMetric,
    *,
    memory_bytes: int | None = None,
) -> Float[Tensor, " set"]:
    """`patch_edges` of many sets, which go through the model together."""
    exchange = Exchange.of(model, tokens, other_tokens, metric, memory_bytes=memory_bytes)
    found = [exchange.graph.index(edges) for edges in edge_sets]
    sets = np.zeros((len(found), *exchange.graph.exists.shape), dtype=bool)
    for row, edges in enumerate(found):
        sets[row][tuple(edges.T)] = True
    return torch.from_numpy(joint_metric(exchange, sets))
