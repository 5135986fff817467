"""Direct logit attribution: which component wrote the answer."""

from analysis.attribution.direct_logit import DirectLogitAttribution, direct_logit_attribution
from analysis.attribution.of_run import activations_read, attribution_result, whole_attribution

__all__ = [
    "DirectLogitAttribution",
    "activations_read",
    "attribution_result",
    "direct_logit_attribution",
    "whole_attribution",
]
