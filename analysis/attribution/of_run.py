"""Direct logit attribution of one run of an experiment, for every position at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.utilities import Slice

from analysis.attribution.completeness import require_complete
from analysis.attribution.direct_logit import split_logit
from analysis.attribution.readout import require_readable, tolerance
from analysis.attribution.residual import coarser_eps, narrowed, needed
from analysis.errors import AnswerError, UnsupportedModelError
from analysis.experiment import Origin, Run
from analysis.metrics import ULPS, logit_resolution, logit_scale, logit_spread
from analysis.requests import UNITS
from analysis.results import AttributionRequest, AttributionResult


def activations_read(bridge: Any) -> set[str]:
    """What any unit's attribution reads of a run, by TransformerLens name."""
    return set().union(*(needed(bridge, unit) for unit in UNITS))


def whole_attribution(request: AttributionRequest, origin: Origin) -> AttributionResult:
    """`attribution_result`, refused by `UnsupportedModelError` where its parts miss the whole.

    Raises `AnswerError` where the logit of the answer or foil is not finite.
    """
    result = attribution_result(request, origin)
    require_whole(result, getattr(origin.runs, request.run).logits)
    return result


@torch.no_grad()
def attribution_result(request: AttributionRequest, origin: Origin) -> AttributionResult:
    """What each part contributes to answer minus foil, in logits, from the run's stored activations.

    Raises `UnsupportedModelError` where the architecture does not split by the request's unit, and what
    `require_readable` raises. That the parts add up to the run's own logits is left to `require_whole`.
    """
    runs, bridge = origin.runs, origin.runs.model.bridge
    run: Run = getattr(runs, request.run)
    answer, foil = runs.pair.answer, runs.pair.foil
    require_readable(bridge)
    targets = [torch.tensor(token, device=bridge.W_U.device) for token in (answer, foil)]
    cache = narrowed(bridge, run.activations, request.unit, Slice(None))
    parts = split_logit(bridge, cache, request.unit, targets)
    if request.unit == "head":
        require_complete(bridge, cache, "head", parts.stack, targets, coarser_eps(cache, bridge))
    return AttributionResult(
        request=request,
        attribution=parts.attribution[:, 0].cpu().double().numpy(),
        lens=_logit_lens(bridge, cache, parts.stack, answer, foil)
        if request.unit == "layer"
        else np.empty((0, 0)),
        logit_difference=_logit_difference(run.logits[0][:, [answer, foil]], bridge),
        bias_difference=float(bridge.b_U[answer] - bridge.b_U[foil]),
        labels=tuple(parts.labels),
        tokens=getattr(runs.pair, f"{request.run}_tokens"),
        n_layers=bridge.cfg.n_layers,
        n_heads=bridge.cfg.n_heads,
        provenance=origin.provenance(resolution=2 * logit_resolution(run.logits)),
    )


def _logit_lens(
    bridge: Any, cache: Any, stages: Float[Tensor, "stage batch pos d_model"], answer: int, foil: int
) -> Float[np.ndarray, "stage pos"]:
    """Answer minus foil of each stage, read through the final norm on that stage's own scale."""
    normed = cache.apply_ln_to_stack(stages, recompute_ln=True, has_batch_dim=cache.has_batch_dim)
    along = bridge.W_U[:, answer] - bridge.W_U[:, foil]
    return (normed @ along).reshape(len(stages), -1).cpu().double().numpy()


def _logit_difference(logits: Float[Tensor, "pos 2"], bridge: Any) -> Float[np.ndarray, " pos"]:
    """First minus second, before the cap where the model caps its logits: only that is a sum of parts."""
    read = logits.double()
    cap = getattr(bridge.cfg, "output_logits_soft_cap", None) or 0.0
    if cap > 0:
        read = cap * torch.atanh(read / cap)
    return (read[:, 0] - read[:, 1]).cpu().numpy()


def require_whole(result: AttributionResult, logits: Float[Tensor, "1 pos d_vocab"]) -> None:
    """Raise `UnsupportedModelError` where the parts miss the whole by more than rounding explains.

    Judged at each position against the spread of its own ordinary logits and the largest part, which
    a huge logit elsewhere in the vocabulary does not widen. Raises `AnswerError` where the model's
    own logit of the answer or foil is not finite.
    """
    if not np.isfinite(result.logit_difference).all():
        raise AnswerError(
            "The model's own logit of the answer or the foil is not finite, which no sum of parts can be: "
            "something in this model forbids the token. Choose another."
        )
    rows, rounding = logits[0], ULPS * torch.finfo(logits.dtype).eps
    largest = torch.from_numpy(np.abs(result.attribution).max(axis=0)).to(rows)
    allowed = tolerance(rows) * logit_spread(rows) + rounding * (
        2 * logit_scale(rows) + len(result.labels) ** 0.5 * largest
    )
    gap = torch.from_numpy(np.abs(result.gap)).to(rows)
    if not bool((gap <= allowed).all()):
        raise UnsupportedModelError(
            f"The parts miss this model's own logit difference by up to {float(gap.max()):.3g} logits, so it "
            "reads its logits in another way than by final norm and unembedding. Choose another model."
        )
