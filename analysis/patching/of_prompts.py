"""Paths between heads of several pairs at once: one forward pass for all, and one estimate.

Each pair's result is that of the pair alone, rounding apart: the products of a batch are summed in another
order. Its key is therefore the same, and its resolution says what rounding is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float

from analysis.edges import Exchange, estimated_by_prompt
from analysis.experiment import Origin, alone_with
from analysis.metrics import named_metric
from analysis.patching.paths import HeadsOnly, paths_between_heads
from analysis.results import PathEstimatesRequest, PathEstimatesResult, PathsResult, StrongestPathsRequest

Asked = TypeVar("Asked", StrongestPathsRequest, PathEstimatesRequest)


@dataclass(frozen=True)
class _Answers:
    """Answers and foils of several pairs, by their ids."""

    answer: list[int]
    foil: list[int]


def strongest_paths_results(
    requests: Sequence[StrongestPathsRequest], origins: Sequence[Origin]
) -> list[PathsResult]:
    """`strongest_paths_result` of each pair. Raises what that raises."""
    with torch.inference_mode(False), torch.no_grad(), alone_with(origins[0].runs.model):
        return [
            heads.strongest(estimate, request.n_paths)
            for request, (heads, estimate) in zip(requests, _estimated(requests, origins), strict=True)
        ]


def path_estimates_results(
    requests: Sequence[PathEstimatesRequest], origins: Sequence[Origin]
) -> list[PathEstimatesResult]:
    """`path_estimates_result` of each pair. Raises what that raises."""
    with torch.inference_mode(False), torch.no_grad(), alone_with(origins[0].runs.model):
        return [heads.estimates(estimate) for heads, estimate in _estimated(requests, origins)]


def _estimated(
    requests: Sequence[Asked], origins: Sequence[Origin]
) -> list[tuple[HeadsOnly, Float[np.ndarray, "writer reader"]]]:
    """Each pair ready to be measured, and its estimates."""
    pairs = [origin.runs.pair for origin in origins]
    clean_logits = [origin.runs.clean.logits for origin in origins]
    name = requests[0].metric
    answers = _Answers([pair.answer for pair in pairs], [pair.foil for pair in pairs])
    exchange = Exchange.of(
        origins[0].runs.model.bridge,
        torch.cat([pair.corrupted for pair in pairs]),
        torch.cat([pair.clean for pair in pairs]),
        named_metric(name, answers, torch.cat(clean_logits)),
        layer_norm=requests[0].layer_norm,
    )
    estimates = estimated_by_prompt(exchange, wanted=paths_between_heads(exchange.graph))
    metrics = [named_metric(name, pair, logits) for pair, logits in zip(pairs, clean_logits, strict=True)]
    alone = exchange.by_prompt(metrics)
    return [
        (HeadsOnly(request, origin, one), estimate)
        for request, origin, one, estimate in zip(requests, origins, alone, estimates, strict=True)
    ]
