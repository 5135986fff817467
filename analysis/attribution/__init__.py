"""Direct logit attribution: which component wrote the answer."""

from analysis.attribution.direct_logit import DirectLogitAttribution, direct_logit_attribution
from analysis.attribution.of_run import attribution_result, require_whole
from analysis.attribution.residual import needed

__all__ = [
    "DirectLogitAttribution",
    "attribution_result",
    "direct_logit_attribution",
    "needed",
    "require_whole",
]
