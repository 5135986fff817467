"""Sets of edges: patched together, scored, the smallest that holds found, and what others found before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from analysis.circuit.curve import CircuitCurve, circuit_curve
    from analysis.circuit.graph_work import GraphWork
    from analysis.circuit.joint import patch_edge_sets, patch_edges
    from analysis.circuit.neurons import neurons_result
    from analysis.circuit.node import node_result
    from analysis.circuit.of_runs import circuit_scores_result, edge_positions_result, edge_sets_result
    from analysis.circuit.pair import Pair, joint_metric, ranked
    from analysis.circuit.roles import Agreement, KnownCircuit, known_circuit
    from analysis.circuit.scores import CircuitScores, circuit_scores
    from analysis.circuit.search import Circuit, find_circuit
    from analysis.circuit.search_work import SearchWork

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "curve": ["CircuitCurve", "circuit_curve"],
        "graph_work": ["GraphWork"],
        "joint": ["patch_edge_sets", "patch_edges"],
        "neurons": ["neurons_result"],
        "node": ["node_result"],
        "of_runs": ["circuit_scores_result", "edge_positions_result", "edge_sets_result"],
        "pair": ["Pair", "joint_metric", "ranked"],
        "roles": ["Agreement", "KnownCircuit", "known_circuit"],
        "scores": ["CircuitScores", "circuit_scores"],
        "search": ["Circuit", "find_circuit"],
        "search_work": ["SearchWork"],
    },
)

__all__ = [
    "Agreement",
    "Circuit",
    "CircuitCurve",
    "CircuitScores",
    "GraphWork",
    "KnownCircuit",
    "Pair",
    "SearchWork",
    "circuit_curve",
    "circuit_scores",
    "circuit_scores_result",
    "edge_positions_result",
    "edge_sets_result",
    "find_circuit",
    "joint_metric",
    "known_circuit",
    "neurons_result",
    "node_result",
    "patch_edge_sets",
    "patch_edges",
    "ranked",
]
