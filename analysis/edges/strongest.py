"""The strongest edges, measured exactly, and whether any other may exceed them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from analysis.edges.exchange import Exchange
from analysis.edges.walk import Round, StrongestEdges, Walk
from analysis.metrics import PatchingMetric
from analysis.requests import LayerNormMode
from analysis.sweep import StopCheck

#: The first tests are early and cheap, as one that cannot prove anything is given up after a few groups. All
#: shares together are 1: the probabilities that one test or another is wrong add up.
_ROUNDS = (
    Round(1 / 5, 4, 8, 0.4),
    Round(1 / 5, 8, 5, 0.25),
    Round(1 / 8, np.inf, 4, 0.25),
    Round(1 / 32, np.inf, 4, 0.1),
)


def strongest_edges(
    model: Any,
    tokens: Int[Tensor, "batch pos"],
    other_tokens: Int[Tensor, "batch pos"],
    metric: PatchingMetric,
    k: int = 20,
    *,
    among: Bool[np.ndarray, "writer reader"] | None = None,
    confidence: float = 0.95,
    layer_norm: LayerNormMode = "exact",
    memory_bytes: int | None = None,
) -> StrongestEdges:
    """The `k` edges with the largest effects (`edge_effects`) in size, measured, and what bounds the others.

    Edges are measured in the order of `edge_estimates`, and random groups of the others are patched
    together, until the k-th effect exceeds every other estimate by more than it may be off, or until
    that would take longer than it is worth; `StrongestEdges.proved` tells. `among` limits the edges (all
    of `residual_graph(model)` if None). Raises what `edge_estimates` raises, but takes a metric without a
    gradient, for which every edge is measured; and `PathscopeError` for a k or a confidence that cannot be.
    """
    with torch.inference_mode(False), torch.no_grad():
        exchange = Exchange.of(
            model, tokens, other_tokens, metric, layer_norm=layer_norm, memory_bytes=memory_bytes
        )
        *_, last = strongest_in_steps(exchange, k, among=among, confidence=confidence)
    return last


def strongest_in_steps(
    exchange: Exchange,
    k: int = 20,
    *,
    among: Bool[np.ndarray, "writer reader"] | None = None,
    confidence: float = 0.95,
    check_stop: StopCheck = lambda: None,
    seed: int = 0,
) -> Iterator[StrongestEdges]:
    """`strongest_edges` as it goes; every state is true, and the last one is the answer."""
    walk = Walk(exchange, k, among, confidence, check_stop)
    yield walk.state()
    if not walk.estimated:
        while walk.unmeasured:
            walk.measure()
            yield walk.state()
        return
    for planned in _ROUNDS:
        most = walk.n_measured + walk.worth_a_group_test(planned)
        while walk.unmeasured and walk.worth_measuring(planned) and walk.n_measured < most:
            walk.measure()
            yield walk.state()
        if walk.unmeasured <= walk.worth_a_group_test(planned):
            break
        groups = walk.group_test(planned, seed)
        for _ in groups.run(check_stop):
            yield walk.state()
            if groups.widest > walk.leeway and planned is not _ROUNDS[-1]:
                break
        else:
            walk.judge_by(groups)
            yield walk.state()
            # Asked once a test: each further look at the same groups would be one more chance to be wrong.
            if walk.state().proved:
                return
    else:
        return
    while walk.unmeasured:
        walk.measure()
        yield walk.state()
