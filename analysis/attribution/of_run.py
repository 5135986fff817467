"""Direct logit attribution of one run of an experiment, for every position at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import ActivationCache

from analysis.attribution.direct_logit import direct_logit_attribution
from analysis.attribution.residual import needed, tolerance
from analysis.errors import UnsupportedModelError
from analysis.experiment import Origin, Run
from analysis.metrics import logit_resolution
from analysis.requests import UNITS, Unit
from analysis.results import AttributionRequest, AttributionResult


def activations_read(bridge: Any) -> set[str]:
    """What any unit's attribution reads of a run, by TransformerLens name."""
    return set().union(*(needed(bridge, unit) for unit in UNITS))


def whole_attribution(request: AttributionRequest, origin: Origin) -> AttributionResult:
    """`attribution_result`, refused by `UnsupportedModelError` where its parts miss the whole."""
    result = attribution_result(request, origin)
    require_whole(result, getattr(origin.runs, request.run).logits)
    return result


@torch.no_grad()
def attribution_result(request: AttributionRequest, origin: Origin) -> AttributionResult:
    """What each component contributes to answer minus foil, from the run's stored activations.

    Raises `UnsupportedModelError` where the architecture does not split by the request's unit.
    """
    runs, bridge = origin.runs, origin.runs.model.bridge
    run: Run = getattr(runs, request.run)
    answer, foil = runs.pair.answer, runs.pair.foil
    cache = _cache(run, bridge, request.unit)
    parts = direct_logit_attribution(bridge, None, answer, foil, unit=request.unit, pos=None, cache=cache)
    return AttributionResult(
        request=request,
        attribution=parts.attribution[:, 0].cpu().double().numpy(),
        logit_difference=_logit_difference(run.logits[0][:, [answer, foil]], bridge),
        bias_difference=float(bridge.b_U[answer] - bridge.b_U[foil]),
        labels=tuple(parts.labels),
        tokens=getattr(runs.pair, f"{request.run}_tokens"),
        n_layers=bridge.cfg.n_layers,
        n_heads=bridge.cfg.n_heads,
        provenance=origin.provenance(resolution=2 * logit_resolution(run.logits)),
    )


def _cache(run: Run, bridge: Any, unit: Unit) -> ActivationCache:
    names = needed(bridge, unit) & set(run.activations)
    return ActivationCache({name: run.activations[name] for name in names}, bridge)


def _logit_difference(logits: Float[Tensor, "pos 2"], bridge: Any) -> Float[np.ndarray, "pos"]:
    """First minus second, before the cap where the model caps its logits: only that is a sum of parts."""
    read = logits.double()
    cap = getattr(bridge.cfg, "output_logits_soft_cap", None) or 0.0
    if cap > 0:
        read = cap * torch.atanh(read / cap)
    return (read[:, 0] - read[:, 1]).cpu().numpy()


def require_whole(result: AttributionResult, logits: Float[Tensor, "1 pos d_vocab"]) -> None:
    """Raise `UnsupportedModelError` where the parts miss the whole by more than rounding explains."""
    gap = float(np.abs(result.gap).max())
    if not gap <= tolerance(logits) * float(logits.abs().max()):
        raise UnsupportedModelError(
            f"The parts miss this model's own logit difference by up to {gap:.3g} logits, so it reads its "
            "logits in another way than by final norm and unembedding. Choose another model."
        )
