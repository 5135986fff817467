"""Direct logit attribution and direct path patching for transformer language models.

Every name loads its room on first use, so that `import analysis.results` brings in neither torch
nor transformer_lens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from analysis.release import __version__ as __version__

if TYPE_CHECKING:
    from analysis.attribution import DirectLogitAttribution, direct_logit_attribution
    from analysis.patching import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
    from analysis.sweep import edge_attribution

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attribution": ["DirectLogitAttribution", "direct_logit_attribution"],
        "patching": ["get_act_patch_direct_path", "get_act_patch_direct_path_all_sources"],
        "sweep": ["edge_attribution"],
    },
)

__all__ = [
    "DirectLogitAttribution",
    "direct_logit_attribution",
    "edge_attribution",
    "get_act_patch_direct_path",
    "get_act_patch_direct_path_all_sources",
]
