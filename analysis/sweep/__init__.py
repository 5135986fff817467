"""The engine: direct path patching of many edges, fast where the replay is shown to be the model's own."""

from analysis.sweep.engine import Sweep
from analysis.sweep.estimate import edge_attribution, edge_attributions
from analysis.sweep.foreign import foreign_hooks
from analysis.sweep.gate import Gate, open_gate
from analysis.sweep.hooked import HookedPath
from analysis.sweep.patch import Patch
from analysis.sweep.pieces import Piece
from analysis.sweep.source import activations_read

__all__ = [
    "Gate",
    "HookedPath",
    "Patch",
    "Piece",
    "Sweep",
    "activations_read",
    "edge_attribution",
    "edge_attributions",
    "foreign_hooks",
    "open_gate",
]
