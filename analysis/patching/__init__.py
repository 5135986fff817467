"""Direct path patching: what one head told a later one, of given runs or of an experiment."""

from analysis.patching.direct_path import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
from analysis.patching.of_runs import Patching, filled, most_promising_first

__all__ = [
    "Patching",
    "filled",
    "get_act_patch_direct_path",
    "get_act_patch_direct_path_all_sources",
    "most_promising_first",
]
