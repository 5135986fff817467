"""The estimate of every edge from one backward pass: exact at the destination, linear after it.

What a reader makes of the patch is computed exactly: its norm, its projection, its softmax, its output.
Only what follows the reader is taken to first order, ``<d metric / d output, patched output - output>``.
The last reader, the logits, is exact altogether.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from analysis.edges.brought import Brought, homogeneous
from analysis.edges.destination import Reader, into_heads, into_mlp
from analysis.edges.exchange import Exchange
from analysis.edges.gradients import Gradients, metric_gradients
from analysis.errors import MetricError, PathscopeError
from analysis.metrics import Metric, PatchingMetric, require_slope
from analysis.nodes import INPUTS, Graph, GraphEdges, causal_edges
from analysis.requests import HeadInput, LayerNormMode
from analysis.sweep import EdgeReplay, StopCheck


def edge_estimates(
    model: Any,
    tokens: Int[Tensor, "batch pos"],
    other_tokens: Int[Tensor, "batch pos"],
    metric: PatchingMetric,
    *,
    layer_norm: LayerNormMode = "exact",
    points: int = 1,
    memory_bytes: int | None = None,
) -> Float[Tensor, "writer reader"]:
    """Estimated effect of every edge of `residual_graph(model)`, NaN where there is none.

    Estimates `edge_effects`: the metric of the run on `tokens` with one edge carrying the run on
    `other_tokens`, minus the metric of the run, in the metric's unit. `points` above 1 averages what
    follows the reader over so many runs on the way to the other one (integrated gradients).
    Second-order terms after the reader are left out.

    Raises `UnsupportedModelError` where the replay does not know or does not reproduce the model, and
    beside somebody's hooks; `MetricError` for a metric without a gradient; `PathscopeError`, or one of
    its kinds, for arguments that do not fit together.
    """
    # Tensors made in inference mode have no gradient, now or later.
    with torch.inference_mode(False), torch.no_grad():
        exchange = Exchange.of(
            model, tokens, other_tokens, metric, layer_norm=layer_norm, memory_bytes=memory_bytes
        )
        return torch.from_numpy(estimated_effects(exchange, points=points))


def path_estimates(
    model: Any,
    tokens: Int[Tensor, "batch pos"],
    other_tokens: Int[Tensor, "batch pos"],
    metric: PatchingMetric,
    component: HeadInput,
    *,
    layer_norm: LayerNormMode,
) -> Float[np.ndarray, "layer head layer head"]:
    """`edge_estimates` of every path between two heads into `component`, NaN where there is no path.

    Indexed by layer and head of the source, then of the destination. Raises what `edge_estimates` raises.
    """
    # Tensors made in inference mode have no gradient, now or later.
    with torch.inference_mode(False), torch.no_grad():
        exchange = Exchange.of(model, tokens, other_tokens, metric, layer_norm=layer_norm)
        graph = exchange.graph
        effects = estimated_effects(exchange, wanted=graph.heads_into(component))
    return between_heads(graph, effects, component)


def between_heads(
    graph: Graph, effects: Float[np.ndarray, "writer reader"], component: HeadInput
) -> Float[np.ndarray, "layer head layer head"]:
    """Of all `effects` those of the paths between two heads into `component`, NaN where there is no path."""
    shape = (graph.n_layers, graph.n_heads)
    paths, found = np.argwhere(causal_edges(*shape)), np.full((*shape, *shape), np.nan)
    found[tuple(paths.T)] = effects[tuple(graph.between_heads(paths, component).T)]
    return found


def estimated_effects(
    exchange: Exchange,
    *,
    points: int = 1,
    wanted: Bool[np.ndarray, "writer reader"] | None = None,
    check_stop: StopCheck = lambda: None,
) -> Float[np.ndarray, "writer reader"]:
    """`edge_estimates` of an exchange, NaN but for the `wanted` edges (all if None).

    `check_stop` is called between layers and may raise to stop.
    """
    return _estimated(exchange, points, wanted, check_stop, by_prompt=False)[0]


def estimated_by_prompt(
    exchange: Exchange,
    *,
    wanted: Bool[np.ndarray, "writer reader"] | None = None,
    check_stop: StopCheck = lambda: None,
) -> Float[np.ndarray, "batch writer reader"]:
    """`estimated_effects` of each prompt of the batch by itself; their mean is that of the batch.

    Raises `MetricError` for a metric that is no `analysis.metrics.Metric`: of any other callable it is not
    known what it makes of each prompt.
    """
    if not isinstance(exchange.metric, Metric):
        raise MetricError(
            f"The metric {exchange.metric!r} gives one number for the whole batch. Estimate each prompt "
            "alone, or take a metric of analysis.metrics."
        )
    return _estimated(exchange, 1, wanted, check_stop, by_prompt=True)


def _estimated(
    exchange: Exchange,
    points: int,
    wanted: Bool[np.ndarray, "writer reader"] | None,
    check_stop: StopCheck,
    by_prompt: bool,
) -> Float[np.ndarray, "row writer reader"]:
    """A row for each prompt of the batch, or one for their mean."""
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise PathscopeError(f"points is {points!r}, and must be a whole number from 1: 1 or 5, say.")
    replay = exchange.required_replay("estimate")
    require_slope(exchange.metric, exchange.gate.logits)
    graph, other = exchange.graph, exchange.other.run
    assert other is not None
    wanted = graph.exists if wanted is None else wanted & graph.exists
    batch = len(exchange.gate.tokens)
    found = np.repeat(np.where(wanted, 0.0, np.nan)[None], batch if by_prompt else 1, axis=0)
    if not _heard(exchange):
        return found
    gradients = metric_gradients(replay, other, points)
    (writers,) = np.nonzero(wanted.any(axis=1))
    writers = writers[[not replay.writes.silent(writer) for writer in writers.tolist()]]
    read = set(graph.reader_places[wanted.any(axis=0), 1].tolist())
    names = [name for index, name in enumerate(INPUTS[:-1]) if index in read]
    at_once = replay.edges_at_once()[graph.n_layers]
    for layer in range(graph.n_layers):
        reader = Reader.of(replay, layer, frozen=exchange.layer_norm == "frozen")
        # Writers stand in the order in which they run, so those that come before are the first.
        earlier = writers[writers < graph.first_writer(layer) + graph.n_heads]
        for chosen in homogeneous(graph, earlier, at_once):
            check_stop()
            _into_layer(found, graph, names, reader, layer, chosen, Brought.by(replay, chosen), gradients)
    if by_prompt:  # the metric is the mean over the batch, of which each prompt moves its own share
        found *= batch
    if wanted[:, -1].any():
        into_logits = np.column_stack([writers, np.full(len(writers), len(graph.readers) - 1)])
        found[:, writers, -1] = _measured(replay, into_logits, check_stop, by_prompt)
    found[:, ~wanted] = np.nan
    return found


def _measured(
    replay: EdgeReplay, edges: GraphEdges, check_stop: StopCheck, by_prompt: bool
) -> Float[np.ndarray, "row edge"]:
    values, of_each = replay.measure(edges, check_stop)
    if not by_prompt:
        return (values - replay.baseline)[None]
    assert of_each is not None and replay.baseline_per_prompt is not None
    return (of_each - replay.baseline_per_prompt).T


def _into_layer(
    found: Float[np.ndarray, "row writer reader"],
    graph: Graph,
    names: list[str],
    reader: Reader,
    layer: int,
    writers: Int[np.ndarray, " writer"],
    brought: Brought,
    gradients: Gradients,
) -> None:
    """Fill in the edges from `writers` into those inputs of one layer that `names` names."""
    layer_of, reads, _ = graph.reader_places.T
    for name in names:
        (columns,) = np.nonzero((layer_of == layer) & (reads == INPUTS.index(name)))
        rows = graph.exists[writers, columns[0]] if len(columns) else np.zeros(len(writers), dtype=bool)
        if not rows.any():
            continue
        earlier = brought.first(int(rows.sum()))
        if name == "mlp":
            effects = into_mlp(reader, earlier, gradients.resid_post[layer])
        else:
            effects = into_heads(reader, name, earlier, gradients.z[layer])
        if len(found) == 1:
            effects = effects.sum(dim=0, keepdim=True)
        found[np.ix_(np.arange(len(found)), writers[rows], columns)] = effects.cpu().double().numpy()


def _heard(exchange: Exchange) -> bool:
    """Whether anything that changes can reach what the metric reads."""
    assert exchange.replay is not None
    suffix = exchange.replay.suffix
    return suffix.length > 0 and (suffix.read is None or suffix.read >= suffix.start)
