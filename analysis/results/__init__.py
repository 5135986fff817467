"""The kinds of question, each beside its result: frozen, with labels, units, tables, provenance; no torch."""

from analysis.requests import Request, request_from_json, request_to_json
from analysis.results.attribution import AttributionRequest, AttributionResult
from analysis.results.overview import OverviewRequest, OverviewResult
from analysis.results.patching import (
    AllSourcesRequest,
    AllSourcesResult,
    PatchingResult,
    PathRequest,
    PathResult,
)
from analysis.results.provenance import Provenance, Result
from analysis.results.sanity import SanityRequest, SanityResult

__all__ = [
    "AllSourcesRequest",
    "AllSourcesResult",
    "AttributionRequest",
    "AttributionResult",
    "OverviewRequest",
    "OverviewResult",
    "PatchingResult",
    "PathRequest",
    "PathResult",
    "Provenance",
    "Request",
    "Result",
    "SanityRequest",
    "SanityResult",
    "request_from_json",
    "request_to_json",
]
