"""From a request to its result: model, prompts, runs, analysis, provenance.

Nothing is looked up or stored here but the two runs; `analysis.answers` and `analysis.jobs` do that
for results.
"""

from __future__ import annotations

import time
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from analysis.attribution import attribution_result, needed, require_whole
from analysis.experiment import Origin, Runs, run_experiment
from analysis.metrics import named_metric
from analysis.patching import Patching, filled
from analysis.requests import METRIC_NAMES, UNITS, Experiment
from analysis.results import (
    AllSourcesRequest,
    AllSourcesResult,
    AttributionRequest,
    AttributionResult,
    OverviewRequest,
    OverviewResult,
    PathRequest,
    PathResult,
    Request,
    Result,
    SanityRequest,
    SanityResult,
)
from analysis.sanity import checks as sanity
from analysis.store import Store
from analysis.sweep import activations_read

#: How many next tokens the overview lists.
TOP_TOKENS = 10


@torch.no_grad()
def compute(request: Request[Any], store: Store) -> Result:
    """The result of `request`, with the runs of its experiment taken from or left in `store`.

    Raises `PathscopeError` with a sentence for whatever is wrong with the request.
    """
    started = time.perf_counter()
    return _result(request, Origin(runs_of(request.experiment, store), started))


def runs_of(experiment: Experiment, store: Store) -> Runs:
    """Both runs of `experiment`, with every activation that any analysis reads."""
    return run_experiment(experiment, store, _activations_read)


def _activations_read(bridge: Any) -> set[str]:
    return activations_read(bridge).union(*(needed(bridge, unit) for unit in UNITS))


@singledispatch
def _result(request: Request[Any], origin: Origin) -> Result:
    raise TypeError(f"There is no analysis for {type(request).__name__}.")


@_result.register
def _overview(request: OverviewRequest, origin: Origin) -> OverviewResult:
    runs, bridge = origin.runs, origin.runs.model.bridge
    clean, corrupted = runs.clean.logits, runs.corrupted.logits
    metrics = {name: named_metric(name, runs.pair, clean) for name in METRIC_NAMES}
    return OverviewResult(
        request=request,
        clean_tokens=runs.pair.clean_tokens,
        corrupted_tokens=runs.pair.corrupted_tokens,
        differences=runs.pair.differences,
        clean_top=_top(bridge, clean[0, -1]),
        corrupted_top=_top(bridge, corrupted[0, -1]),
        metrics={name: (float(metric(clean)), float(metric(corrupted))) for name, metric in metrics.items()},
        n_layers=bridge.cfg.n_layers,
        n_heads=bridge.cfg.n_heads,
        provenance=origin.provenance(),
    )


def _top(bridge: Any, logits: Float[Tensor, "d_vocab"]) -> tuple[tuple[str, float, float], ...]:
    """(token, logit, probability) of the most probable next tokens."""
    probabilities = logits.softmax(-1)
    values, ids = logits.topk(min(TOP_TOKENS, len(logits)))
    tokens = bridge.to_str_tokens(ids)
    return tuple(zip(tokens, values.tolist(), probabilities[ids].tolist(), strict=True))


@_result.register
def _attribution(request: AttributionRequest, origin: Origin) -> AttributionResult:
    result = attribution_result(request, origin)
    require_whole(result, getattr(origin.runs, request.run).logits)
    return result


@_result.register
def _path(request: PathRequest, origin: Origin) -> PathResult:
    patching = Patching(origin.runs, request)
    sweep = patching.sweep(sources=[(request.source_layer, request.source_head)])
    values = filled(patching.shape, patching.pieces(sweep))
    return PathResult(
        request=request,
        values=values[request.source_layer, request.source_head],
        provenance=patching.provenance(origin, sweep),
        **patching.ends(sweep),
    )


@_result.register
def _all_sources(request: AllSourcesRequest, origin: Origin) -> AllSourcesResult:
    patching = Patching(origin.runs, request)
    sweep = patching.sweep()
    values = filled(patching.shape, patching.pieces(sweep))
    return AllSourcesResult(
        request=request,
        values=values,
        estimate=np.full_like(values, np.nan),
        provenance=patching.provenance(origin, sweep),
        **patching.ends(sweep),
    )


@_result.register
def _sanity(request: SanityRequest, origin: Origin) -> SanityResult:
    return SanityResult(
        request=request,
        checks=sanity.checked(request.experiment, origin.runs),
        provenance=origin.provenance(),
    )
