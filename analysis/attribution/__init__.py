"""Direct logit attribution: which component wrote the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from analysis.attribution.direct_logit import DirectLogitAttribution, direct_logit_attribution
from analysis.attribution.residual import needed

if TYPE_CHECKING:
    from analysis.attribution.of_run import attribution_result, require_whole

#: Loaded on first use: the public function needs neither a store nor an experiment's runs.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"of_run": ["attribution_result", "require_whole"]}
)

__all__ = [
    "DirectLogitAttribution",
    "attribution_result",
    "direct_logit_attribution",
    "needed",
    "require_whole",
]
