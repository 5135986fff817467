"""Direct path patching, the only patching here: what one head told a later one.

Of given runs, by the public functions, or of an experiment, as a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from analysis.patching.direct_path import get_act_patch_direct_path, get_act_patch_direct_path_all_sources

if TYPE_CHECKING:
    from analysis.patching.all_sources import AllSourcesWork
    from analysis.patching.of_prompts import path_estimates_results, strongest_paths_results
    from analysis.patching.of_runs import path_result
    from analysis.patching.paths import (
        chosen_paths_result,
        head_paths_result,
        path_estimates_result,
        path_positions_result,
        strongest_paths_result,
    )

#: Loaded on first use: the public functions need neither a store nor an experiment's runs.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "all_sources": ["AllSourcesWork"],
        "of_prompts": ["path_estimates_results", "strongest_paths_results"],
        "of_runs": ["path_result"],
        "paths": [
            "chosen_paths_result",
            "head_paths_result",
            "path_estimates_result",
            "path_positions_result",
            "strongest_paths_result",
        ],
    },
)

__all__ = [
    "AllSourcesWork",
    "chosen_paths_result",
    "get_act_patch_direct_path",
    "get_act_patch_direct_path_all_sources",
    "head_paths_result",
    "path_estimates_result",
    "path_estimates_results",
    "path_positions_result",
    "path_result",
    "strongest_paths_result",
    "strongest_paths_results",
]
