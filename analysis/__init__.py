"""Direct logit attribution and direct path patching for transformer language models.

Every name loads its module on first use, so that `import analysis.results` brings in neither
torch nor transformer_lens.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.attribution import DirectLogitAttribution, direct_logit_attribution
    from analysis.path_patching import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
    from analysis.sweep.estimate import edge_attribution

_HOMES = {
    "DirectLogitAttribution": "analysis.attribution",
    "direct_logit_attribution": "analysis.attribution",
    "edge_attribution": "analysis.sweep.estimate",
    "get_act_patch_direct_path": "analysis.path_patching",
    "get_act_patch_direct_path_all_sources": "analysis.path_patching",
}

__all__ = [
    "DirectLogitAttribution",
    "direct_logit_attribution",
    "edge_attribution",
    "get_act_patch_direct_path",
    "get_act_patch_direct_path_all_sources",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
