"""Direct path patching: what one head told a later one, of given runs or of an experiment."""

from analysis.patching.all_sources import AllSourcesWork
from analysis.patching.direct_path import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
from analysis.patching.of_runs import path_result

__all__ = [
    "AllSourcesWork",
    "get_act_patch_direct_path",
    "get_act_patch_direct_path_all_sources",
    "path_result",
]
