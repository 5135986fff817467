"""Direct logit attribution: which part of a model wrote the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from analysis.attribution.direct_logit import DirectLogitAttribution, direct_logit_attribution

if TYPE_CHECKING:
    from analysis.attribution.of_nodes import node_attribution_result
    from analysis.attribution.of_run import activations_read, attribution_result, whole_attribution

#: Loaded on first use: the public function needs neither a store nor an experiment's runs.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "of_nodes": ["node_attribution_result"],
        "of_run": ["activations_read", "attribution_result", "whole_attribution"],
    },
)

__all__ = [
    "DirectLogitAttribution",
    "activations_read",
    "attribution_result",
    "direct_logit_attribution",
    "node_attribution_result",
    "whole_attribution",
]
