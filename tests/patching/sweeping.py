"""The sweep over all sources, measured once for all the tests that look at it."""

from __future__ import annotations

from functools import lru_cache

import torch

from analysis import get_act_patch_direct_path_all_sources
from analysis.requests import HeadInput, LayerNormMode
from tests.runs import Runs, last_logit_difference


@lru_cache(maxsize=32)
def all_sources(runs: Runs, component: HeadInput, layer_norm: LayerNormMode) -> torch.Tensor:
    return get_act_patch_direct_path_all_sources(
        *runs.arguments, last_logit_difference, component, verbose=False, layer_norm=layer_norm
    )
