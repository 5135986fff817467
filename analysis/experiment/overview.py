"""The experiment at a glance: its tokens, what both runs predict, and every metric on them."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.experiment.origin import Origin
from analysis.metrics import named_metric
from analysis.requests import METRIC_NAMES
from analysis.results import OverviewRequest, OverviewResult

#: How many next tokens are listed.
TOP_TOKENS = 10


@torch.no_grad()
def overview_result(request: OverviewRequest, origin: Origin) -> OverviewResult:
    """What both runs predict after the last token, and what each metric makes of it."""
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


def _top(bridge: Any, logits: Float[Tensor, " d_vocab"]) -> tuple[tuple[str, float, float], ...]:
    """(token, logit, probability) of the most probable next tokens."""
    probabilities = logits.softmax(-1)
    values, ids = logits.topk(min(TOP_TOKENS, len(logits)))
    tokens = bridge.to_str_tokens(ids)
    return tuple(zip(tokens, values.tolist(), probabilities[ids].tolist(), strict=True))
