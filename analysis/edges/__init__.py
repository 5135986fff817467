"""Any edge of the residual graph: measured exactly, estimated, and the strongest of them proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from analysis.edges.effects import edge_effects
    from analysis.edges.estimates import edge_estimates, path_estimates
    from analysis.edges.exchange import Exchange, residual_graph

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "effects": ["edge_effects"],
        "estimates": ["edge_estimates", "path_estimates"],
        "exchange": ["Exchange", "residual_graph"],
    },
)

__all__ = ["Exchange", "edge_effects", "edge_estimates", "path_estimates", "residual_graph"]
