"""Direct logit attribution, direct path patching and circuits for transformer language models.

Every name loads its room on first use, so that `import analysis.results` brings in neither torch
nor transformer_lens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from analysis.release import __version__ as __version__

if TYPE_CHECKING:
    from analysis.attribution import DirectLogitAttribution, direct_logit_attribution
    from analysis.circuit import (
        circuit_curve,
        circuit_scores,
        find_circuit,
        patch_edge_sets,
        patch_edges,
    )
    from analysis.edges import edge_effects, edge_estimates, residual_graph, strongest_edges
    from analysis.patching import get_act_patch_direct_path, get_act_patch_direct_path_all_sources
    from analysis.sweep import edge_attribution

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attribution": ["DirectLogitAttribution", "direct_logit_attribution"],
        "circuit": [
            "circuit_curve",
            "circuit_scores",
            "find_circuit",
            "patch_edge_sets",
            "patch_edges",
        ],
        "edges": ["edge_effects", "edge_estimates", "residual_graph", "strongest_edges"],
        "patching": ["get_act_patch_direct_path", "get_act_patch_direct_path_all_sources"],
        "sweep": ["edge_attribution"],
    },
)

__all__ = [
    "DirectLogitAttribution",
    "circuit_curve",
    "circuit_scores",
    "direct_logit_attribution",
    "edge_attribution",
    "edge_effects",
    "edge_estimates",
    "find_circuit",
    "get_act_patch_direct_path",
    "get_act_patch_direct_path_all_sources",
    "patch_edge_sets",
    "patch_edges",
    "residual_graph",
    "strongest_edges",
]
