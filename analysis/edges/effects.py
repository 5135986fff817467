"""Single edges measured exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.edges.exchange import Exchange
from analysis.metrics import PatchingMetric
from analysis.nodes import GraphEdges
from analysis.requests import HEAD_INPUTS, HeadInput, LayerNormMode
from analysis.sweep import EdgeReplay, HookedPath, Patch, StopCheck


def edge_effects(
    model: Any,
    tokens: Int[Tensor, "batch pos"],
    other_tokens: Int[Tensor, "batch pos"],
    edges: Iterable[Sequence[str]],
    metric: PatchingMetric,
    *,
    layer_norm: LayerNormMode = "exact",
    memory_bytes: int | None = None,
) -> Float[Tensor, " edge"]:
    """The effect of each of `edges` alone: the metric with it patched, minus the metric without.

    ``metric(run on tokens | reader sees its residual stream + write in the run on other_tokens - own
    write of the writer) - metric(run on tokens)``, in the metric's unit. Only the reader sees it; all
    after the reader is recomputed. `edges` are pairs of labels as in `residual_graph(model)`, such as
    ``("L0H7", "L2H5.v")``. ``layer_norm="exact"`` recomputes the norm before the reader; "frozen" keeps
    its scale (heads then see ``delta / scale``, as the seed's functions have it, without a norm's weight
    that is not folded). Clean writes into the corrupted run: give the corrupted tokens first.

    Where the replay does not know the model, paths between heads run through the model itself; for
    other edges `UnsupportedModelError` is raised. Raises `PathscopeError`, or one of its kinds, for
    whatever does not fit together.
    """
    exchange = Exchange.of(
        model, tokens, other_tokens, metric, layer_norm=layer_norm, memory_bytes=memory_bytes
    )
    indices = exchange.graph.index(edges)
    with torch.no_grad():
        return torch.from_numpy(measured_effects(exchange, indices))


def measured_effects(
    exchange: Exchange, edges: GraphEdges, check_stop: StopCheck = lambda: None
) -> Float[np.ndarray, " edge"]:
    """`edge_effects` of edges given by their indices. `check_stop` may raise to stop."""
    found = np.empty(len(edges))
    for rows, values in measured_in_pieces(exchange, edges, check_stop):
        found[rows] = values
    return found


def effects_by_position(
    exchange: Exchange, edges: GraphEdges, check_stop: StopCheck = lambda: None
) -> Float[np.ndarray, "edge pos"]:
    """`measured_effects` with the writers patched at one position at a time, in the metric's unit.

    They need not add up to the effect of the edge, which is patched everywhere at once. Raises
    `UnsupportedModelError` where the replay does not know the model.
    """
    replay, n_positions = exchange.required_replay("effect by position"), exchange.gate.tokens.shape[1]
    found = np.zeros((len(edges), n_positions))
    for position in range(exchange.first_difference, n_positions):
        here = replay.at(position)
        for rows in in_pieces(replay, edges):
            values, _ = here.measure(edges[rows], check_stop)
            found[rows, position] = values - replay.baseline
    return found


def measured_in_pieces(
    exchange: Exchange, edges: GraphEdges, check_stop: StopCheck
) -> Iterator[tuple[Int[np.ndarray, " edge"], Float[np.ndarray, " edge"]]]:
    """Rows of `edges` and their effects, as they are measured."""
    if exchange.replay is None:
        yield from _through_the_model(exchange, edges, check_stop)
        return
    for rows in in_pieces(exchange.replay, edges):
        values, _ = exchange.replay.measure(edges[rows], check_stop)
        yield rows, values - exchange.replay.baseline


def in_pieces(replay: EdgeReplay, edges: GraphEdges) -> Iterator[Int[np.ndarray, " edge"]]:
    """Rows of `edges`, so many at a time as fit in memory, neighbours in the model together."""
    at_once = replay.edges_at_once()
    rows = np.lexsort(edges.T)
    while len(rows):
        lowest = int(replay.decoder.graph.reader_places[edges[rows[0], 1], 0])
        yield rows[: at_once[lowest]]
        rows = rows[at_once[lowest] :]


def _through_the_model(
    exchange: Exchange, edges: GraphEdges, check_stop: StopCheck
) -> Iterator[tuple[Int[np.ndarray, " edge"], Float[np.ndarray, " edge"]]]:
    """Paths between heads by the model's own forward; `UnsupportedModelError` where there are others."""
    graph = exchange.graph
    source, reader = graph.writer_places[edges[:, 0]], graph.reader_places[edges[:, 1]]
    heads = (source[:, 0] >= 0) & (source[:, 1] < graph.n_heads) & (reader[:, 1] < len(HEAD_INPUTS))
    if not heads.all():
        exchange.required_replay("measurement of " + " -> ".join(graph.labels(edges[~heads])[0]))
    for reads in np.unique(reader[:, 1]).tolist():
        path = HookedPath(_patch(exchange, HEAD_INPUTS[reads]))
        limit = path.edges_at_once()
        for layer in np.unique(reader[reader[:, 1] == reads, 0]).tolist():
            (rows,) = np.nonzero((reader[:, 1] == reads) & (reader[:, 0] == layer))
            for part in np.array_split(rows, -(-len(rows) // limit[layer])):
                values, _ = path.measure(np.column_stack([source, reader[:, [0, 2]]])[part], check_stop)
                yield part, values - path.baseline


def _patch(exchange: Exchange, component: HeadInput) -> Patch:
    clean_cache, corrupted_cache = exchange.own_caches
    return Patch(
        gate=exchange.gate,
        clean_cache=clean_cache,
        corrupted_cache=corrupted_cache,
        metric=exchange.metric,
        component=component,
        layer_norm=exchange.layer_norm,
        positions=None,
        memory_bytes=exchange.memory_bytes,
    )
