"""Any edge of the residual graph: measured exactly, estimated, and the strongest of them proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from analysis.edges.effects import edge_effects, effects_by_position, measured_effects
    from analysis.edges.estimates import (
        between_heads,
        edge_estimates,
        estimated_by_prompt,
        estimated_effects,
        path_estimates,
    )
    from analysis.edges.exchange import Exchange, residual_graph
    from analysis.edges.joint import JointReplay
    from analysis.edges.rows import EdgeSet, Sets
    from analysis.edges.strongest import strongest_edges, strongest_in_steps
    from analysis.edges.walk import StrongestEdges

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "effects": ["edge_effects", "effects_by_position", "measured_effects"],
        "estimates": [
            "between_heads",
            "edge_estimates",
            "estimated_by_prompt",
            "estimated_effects",
            "path_estimates",
        ],
        "exchange": ["Exchange", "residual_graph"],
        "joint": ["JointReplay"],
        "rows": ["EdgeSet", "Sets"],
        "strongest": ["strongest_edges", "strongest_in_steps"],
        "walk": ["StrongestEdges"],
    },
)

__all__ = [
    "EdgeSet",
    "Exchange",
    "JointReplay",
    "Sets",
    "StrongestEdges",
    "between_heads",
    "edge_effects",
    "edge_estimates",
    "effects_by_position",
    "estimated_by_prompt",
    "estimated_effects",
    "measured_effects",
    "path_estimates",
    "residual_graph",
    "strongest_edges",
    "strongest_in_steps",
]
