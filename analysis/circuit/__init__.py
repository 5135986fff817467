"""Sets of edges: patched together, scored as a mechanism, and the smallest that holds found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from analysis.circuit.curve import CircuitCurve, circuit_curve
    from analysis.circuit.joint import patch_edge_sets, patch_edges
    from analysis.circuit.scores import CircuitScores, circuit_scores
    from analysis.circuit.search import Circuit, find_circuit

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "curve": ["CircuitCurve", "circuit_curve"],
        "joint": ["patch_edge_sets", "patch_edges"],
        "scores": ["CircuitScores", "circuit_scores"],
        "search": ["Circuit", "find_circuit"],
    },
)

__all__ = [
    "Circuit",
    "CircuitCurve",
    "CircuitScores",
    "circuit_curve",
    "circuit_scores",
    "find_circuit",
    "patch_edge_sets",
    "patch_edges",
]
