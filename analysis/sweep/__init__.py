"""The sweep engine: direct path patching of many edges, fast where that is proven exact."""

from analysis.sweep.engine import Sweep
from analysis.sweep.estimate import edge_attribution
from analysis.sweep.pieces import Piece

__all__ = ["Piece", "Sweep", "edge_attribution"]
