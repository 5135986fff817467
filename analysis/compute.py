"""From a request to its result: model, prompts, runs, analysis, provenance.

Nothing is looked up or stored here but the two runs; `analysis.cached` and `analysis.jobs` do that
for results.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import ActivationCache

from analysis import sanity
from analysis.activations import Run, Runs, run_experiment
from analysis.attribution import direct_logit_attribution
from analysis.cache import Store
from analysis.errors import UnsupportedModelError
from analysis.keys import versions
from analysis.metrics import named_metric
from analysis.patching import Patching, filled
from analysis.requests import (
    METRIC_NAMES,
    AllSourcesRequest,
    AttributionRequest,
    OverviewRequest,
    PathRequest,
    Request,
    SanityRequest,
    Unit,
)
from analysis.residual import needed, tolerance
from analysis.results import (
    AllSourcesResult,
    AttributionResult,
    OverviewResult,
    PathResult,
    Provenance,
    Result,
    SanityResult,
)

#: How many next tokens the overview lists.
TOP_TOKENS = 10


@dataclass(frozen=True)
class Origin:
    """Where a result is being made: which runs, and since when."""

    runs: Runs
    started: float = field(default_factory=time.perf_counter)

    def provenance(self, engine: str = "forward", replay_gap: float | None = None) -> Provenance:
        """The provenance of a result that is finished now."""
        model = self.runs.model
        return Provenance(
            model=model.name,
            fingerprint=model.fingerprint,
            versions=versions(),
            device=model.device,
            dtype=model.dtype,
            engine=engine,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=time.perf_counter() - self.started,
            replay_gap=replay_gap,
            precision=model.dtype,
        )


@torch.no_grad()
def compute(request: Request, store: Store) -> Result:
    """The result of `request`, with the runs of its experiment taken from or left in `store`.

    Raises `PathscopeError` with a sentence for whatever is wrong with the request.
    """
    started = time.perf_counter()
    runs = run_experiment(request.experiment, store)
    return _result(request, Origin(runs, started))


@singledispatch
def _result(request: Request, origin: Origin) -> Result:
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
    runs, bridge = origin.runs, origin.runs.model.bridge
    run: Run = getattr(runs, request.run)
    pair = runs.pair
    parts = direct_logit_attribution(
        bridge,
        None,
        pair.answer,
        pair.foil,
        unit=request.unit,
        pos=None,
        cache=_cache(run, bridge, request.unit),
    )
    bias = bridge.b_U[pair.answer] - bridge.b_U[pair.foil]
    result = AttributionResult(
        request=request,
        attribution=parts.attribution[:, 0].cpu().double().numpy(),
        logit_difference=_logit_difference(run.logits[0], pair.answer, pair.foil, bridge),
        bias_difference=float(bias),
        labels=tuple(parts.labels),
        tokens=getattr(pair, f"{request.run}_tokens"),
        n_layers=bridge.cfg.n_layers,
        n_heads=bridge.cfg.n_heads,
        provenance=origin.provenance(),
    )
    _require_whole(result, run.logits)
    return result


def _cache(run: Run, bridge: Any, unit: Unit) -> ActivationCache:
    wanted = needed(bridge, unit)
    return ActivationCache(
        {name: run.activations[name] for name in run.activations if name in wanted}, bridge
    )


def _logit_difference(
    logits: Float[Tensor, "pos d_vocab"], answer: int, foil: int, bridge: Any
) -> Float[np.ndarray, "pos"]:
    """The model's own, before the cap where the model caps its logits: only that is a sum of parts."""
    read: Float[Tensor, "pos 2"] = logits[:, [answer, foil]].double()
    cap = getattr(bridge.cfg, "output_logits_soft_cap", None) or 0.0
    if cap > 0:
        read = cap * torch.atanh(read / cap)
    return (read[:, 0] - read[:, 1]).cpu().numpy()


def _require_whole(result: AttributionResult, logits: Float[Tensor, "1 pos d_vocab"]) -> None:
    """Refuse attributions that do not add up, which no rounding explains."""
    gap = float(np.abs(result.gap).max())
    if not gap <= tolerance(logits) * float(logits.abs().max()):
        raise UnsupportedModelError(
            f"The parts miss this model's own logit difference by up to {gap:.3g} logits, so it does not read "
            "its logits from the residual stream by final norm and unembedding alone. Choose another model."
        )


@_result.register
def _path(request: PathRequest, origin: Origin) -> PathResult:
    patching = Patching(origin.runs, request)
    sweep = patching.sweep(sources=[(request.source_layer, request.source_head)])
    values = filled(patching.shape, patching.pieces(sweep))
    return PathResult(
        request=request,
        values=values[request.source_layer, request.source_head],
        provenance=origin.provenance(sweep.engine, sweep.replay_gap),
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
        provenance=origin.provenance(sweep.engine, sweep.replay_gap),
        **patching.ends(sweep),
    )


@_result.register
def _sanity(request: SanityRequest, origin: Origin) -> SanityResult:
    return SanityResult(request=request, checks=sanity.checks(origin.runs), provenance=origin.provenance())
