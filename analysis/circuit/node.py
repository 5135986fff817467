"""One node of an experiment's graph: its attention, what its write promotes, an edge into it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.circuit.of_runs import ExperimentPair
from analysis.circuit.pair import Pair
from analysis.decoder import Attention, Decoder
from analysis.edges import Exchange, residual_graph
from analysis.errors import PathscopeError
from analysis.experiment import Origin
from analysis.metrics import logit_resolution
from analysis.nodes import INPUTS, Graph, GraphEdges
from analysis.results import NodeRequest, NodeResult
from analysis.sweep import CorruptedRun, Gate

#: So many tokens are told that a write promotes most, and so many that it suppresses most.
MOST_TOLD = 10
#: Positions whose logits are made at once, which bounds the memory of a long prompt.
_POSITIONS_AT_ONCE = 64


def node_result(request: NodeRequest, origin: Origin) -> NodeResult:
    """What `NodeResult` says of one node. Raises `PathscopeError` for a node or edge that there is not."""
    runs, bridge = origin.runs, origin.runs.model.bridge
    graph = residual_graph(bridge)
    writer, edges = graph.writer(request.node), edges_into(graph, request.node, request.edge)
    here = ExperimentPair(origin, request.metric)
    clean_gate, corrupted_gate = here.pair.into_clean.gate, here.pair.into_clean.other
    with torch.inference_mode(False), torch.no_grad():
        clean, corrupted = (direct_share(gate, writer)[0] for gate in (clean_gate, corrupted_gate))
        W_U = _replayed(clean_gate)[0].W_U
        direction = W_U[:, runs.pair.answer] - W_U[:, runs.pair.foil]
        ids, logits = zip(*(extremes(share, W_U) for share in (clean, clean - corrupted)), strict=True)
        by_source = [by_source_token(gate, writer, direction) for gate in (clean_gate, corrupted_gate)]
        worth = here.pair.each_brings_back(edges), here.pair.each_breaks(edges)
        resolution = 2 * max(logit_resolution(run.logits) for run in (runs.clean, runs.corrupted))
        return NodeResult(
            request=request,
            attention=attention_patterns(here.pair, writer, edges)[:, 0],
            by_source=np.stack(by_source),
            answer_minus_foil=_array(torch.stack([clean, corrupted]) @ direction),
            promotion=np.stack(logits),
            promoted_ids=np.stack(ids),
            promoted_tokens=tuple(texts_of(bridge, of_read) for of_read in ids),
            edge_worth=np.concatenate(worth) if len(edges) else np.full(2, np.nan),
            **here.fields | {"provenance": here.provenance(resolution)},
        )


def edges_into(graph: Graph, node: str, edge: tuple[str, str] | None) -> GraphEdges:
    """The edge as an array of one, or of none; raises `PathscopeError` where it does not lead into `node`."""
    edges = graph.index([] if edge is None else [edge])
    if edge is not None and edge[1].partition(".")[0] != node:
        into = "nothing leads into the embedding" if node == "embed" else f"give one with {node} as its end"
        raise PathscopeError(f"The edge from {edge[0]} to {edge[1]} does not lead into {node}: {into}.")
    return edges


def attention_patterns(
    pair: Pair, writer: int, edges: GraphEdges
) -> Float[np.ndarray, "run batch query key"]:
    """A head's attention probabilities: on the clean run, on the corrupted, and there with an edge patched.

    `edges` are one edge into the head, or none; without one there are two runs, and none for a writer that
    is no head.
    """
    layer, head = pair.graph.writer_places[writer].tolist()
    n_prompts, n_positions = pair.into_clean.gate.tokens.shape
    if not 0 <= head < pair.graph.n_heads:
        return np.empty((0, n_prompts, n_positions, n_positions))
    found = []
    for gate in (pair.into_clean.gate, pair.into_clean.other):
        decoder, run = _replayed(gate)
        attention, of_layer = decoder.blocks[layer].attention, run.layers[layer]
        found.append(_pattern(attention, head, of_layer.q, of_layer.k))
    for from_writer, reader in edges.tolist():
        component = INPUTS[pair.graph.reader_places[reader, 1]]
        seen = {"q": of_layer.q, "k": of_layer.k}
        if component in seen:
            seen[component] = _patched(pair.into_corrupted, layer, component, from_writer)
        found.append(_pattern(attention, head, seen["q"], seen["k"]))
    return _array(torch.stack(found))


def by_source_token(
    gate: Gate, writer: int, direction: Float[Tensor, " d_model"]
) -> Float[np.ndarray, "query key"]:
    """What a head writes at each token straight along `direction`, split by the token it read it from.

    Each row sums to the head's direct logit effect there. Empty where `writer` is no head, and where the
    heads' outputs are normed together before they are written, which is no sum over tokens.
    """
    decoder, run = _replayed(gate)
    layer, head = decoder.graph.writer_places[writer].tolist()
    if not 0 <= head < decoder.graph.n_heads:
        return np.empty((0, 0))
    attention, of_layer = decoder.blocks[layer].attention, run.layers[layer]
    pattern = _pattern(attention, head, of_layer.q, of_layer.k)[0]
    values = of_layer.v[0, :, head // (of_layer.z.shape[2] // of_layer.v.shape[2])]
    if not torch.allclose(pattern @ values, of_layer.z[0, :, head], rtol=1e-3, atol=1e-5):
        return np.empty((0, 0))
    found = []
    for query, weights in enumerate(pattern):
        z = of_layer.z.new_zeros(len(weights), *of_layer.z.shape[2:])
        z[:, head] = weights[:, None] * values
        output, resid = of_layer.attention_output[0, query], run.resid_final[0, query]
        write = decoder.blocks[layer].head_write(head, z, output.expand(len(z), -1))
        found.append(decoder.direct_share(write, resid.expand(len(z), -1)) @ direction)
    return _array(torch.stack(found))


def _patched(
    exchange: Exchange, layer: int, component: str, writer: int
) -> Float[Tensor, "batch pos head d_head"]:
    """q or k as attended with, where every head of `layer` reads the other run's write by it."""
    replay = exchange.required_replay("patched attention pattern")
    block, resid = replay.decoder.blocks[layer], replay.run.layers[layer].resid_pre.clone()
    resid[:, replay.suffix.positions] += replay.writes.delta(np.array([writer]), replay.suffix)[:, 0]
    projected = block.attention.project(block.attention_norm(resid), component)
    return block.attention.attended(projected, component, slice(0, resid.shape[1]))


def _pattern(
    attention: Attention,
    head: int,
    q: Float[Tensor, "batch pos head d_head"],
    k: Float[Tensor, "batch pos key_head d_head"],
) -> Float[Tensor, "batch query key"]:
    """The attention probabilities of one query head."""
    scores = q[:, :, head] @ k[:, :, head // attention.queries_per_key].mT
    n_positions = q.shape[1]
    return attention.pattern(scores, attention.visible(slice(0, n_positions), n_positions))


def direct_share(gate: Gate, writer: int) -> Float[Tensor, "batch pos d_model"]:
    """What the final norm makes of a writer's write, under the scale of the run that the gate holds."""
    decoder, run = _replayed(gate)
    return decoder.direct_share(_written(decoder, run, writer), run.resid_final)


def _written(decoder: Decoder, run: CorruptedRun, writer: int) -> Float[Tensor, "batch pos d_model"]:
    """What a writer adds to the residual stream; biases of the attention layer belong to no head."""
    layer, slot = decoder.graph.writer_places[writer].tolist()
    if layer < 0:
        return run.layers[0].resid_pre
    of_layer = run.layers[layer]
    if slot < decoder.graph.n_heads:
        return decoder.blocks[layer].head_write(slot, of_layer.z, of_layer.attention_output)
    assert of_layer.mlp_write is not None
    return of_layer.mlp_write


def extremes(
    share: Float[Tensor, "pos d_model"], W_U: Float[Tensor, "d_model d_vocab"]
) -> tuple[Int[np.ndarray, "pos token"], Float[np.ndarray, "pos token"]]:
    """Ids and logits of the tokens that each position promotes most and, last, suppresses most."""
    n_told, found = min(MOST_TOLD, W_U.shape[1] // 2), []
    for rows in share.split(_POSITIONS_AT_ONCE):
        logits = rows @ W_U
        most, least = logits.topk(n_told), logits.topk(n_told, largest=False)
        ids = torch.cat([most.indices, least.indices.flip(-1)], dim=-1)
        found.append((ids, logits.gather(-1, ids)))
    ids, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
    return ids.cpu().numpy(), _array(logits)


def texts_of(bridge: Any, ids: Int[np.ndarray, "row token"]) -> tuple[tuple[str, ...], ...]:
    """The text of every id."""
    known = np.unique(ids)
    text = dict(zip(known.tolist(), bridge.to_str_tokens(torch.from_numpy(known)), strict=True))
    return tuple(tuple(text[one] for one in row) for row in ids.tolist())


def _replayed(gate: Gate) -> tuple[Decoder, CorruptedRun]:
    """Both are there: a `Pair` has asked for the replay of each."""
    assert gate.decoder is not None and gate.run is not None
    return gate.decoder, gate.run


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().double().numpy()
