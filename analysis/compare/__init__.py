"""Two results of the same kind side by side: the same items in both, and how they differ; no torch."""

from analysis.compare.comparison import Comparison
from analysis.compare.of_results import (
    attribution_comparison,
    check_shapes,
    path_comparison,
    strongest_comparison,
    sweep_comparison,
)

__all__ = [
    "Comparison",
    "attribution_comparison",
    "check_shapes",
    "path_comparison",
    "strongest_comparison",
    "sweep_comparison",
]
