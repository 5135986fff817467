"""The engine: direct path patching of many edges, fast where the replay is shown to be the model's own."""

from analysis.sweep.caches import RunCache, as_tokens
from analysis.sweep.checks import check_choice, check_metric, checked_bytes
from analysis.sweep.edges import EdgeReplay, patched_norm
from analysis.sweep.engine import Sweep
from analysis.sweep.estimate import edge_attribution, edge_attributions
from analysis.sweep.foreign import foreign_hooks
from analysis.sweep.gate import Gate, open_gate
from analysis.sweep.hooked import HookedPath
from analysis.sweep.patch import Patch, layer_norm_notes
from analysis.sweep.pieces import Piece
from analysis.sweep.readout import Values, measure_logits
from analysis.sweep.replay import CorruptedRun, LayerRun, Replay, StopCheck, Suffix
from analysis.sweep.source import activations_read
from analysis.sweep.writes import Writes

__all__ = [
    "CorruptedRun",
    "EdgeReplay",
    "Gate",
    "HookedPath",
    "LayerRun",
    "Patch",
    "Piece",
    "Replay",
    "RunCache",
    "StopCheck",
    "Suffix",
    "Sweep",
    "Values",
    "Writes",
    "activations_read",
    "as_tokens",
    "check_choice",
    "check_metric",
    "checked_bytes",
    "edge_attribution",
    "edge_attributions",
    "foreign_hooks",
    "layer_norm_notes",
    "measure_logits",
    "open_gate",
    "patched_norm",
]
