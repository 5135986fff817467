"""What may come back: frozen results with their labels, units, tables and provenance; no torch."""

from analysis.results.provenance import Provenance, Result
from analysis.results.results import (
    AllSourcesResult,
    AttributionResult,
    OverviewResult,
    PatchingResult,
    PathResult,
    SanityResult,
)

__all__ = [
    "AllSourcesResult",
    "AttributionResult",
    "OverviewResult",
    "PatchingResult",
    "PathResult",
    "Provenance",
    "Result",
    "SanityResult",
]
