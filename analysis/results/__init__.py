"""The kinds of question, each beside its result: frozen, with labels, units, tables, provenance; no torch."""

from analysis.requests import LongRequest, Request, request_from_json, request_to_json
from analysis.results.attribution import AttributionRequest, AttributionResult
from analysis.results.circuit import (
    CircuitRequest,
    CircuitResult,
    CircuitScoresRequest,
    CircuitScoresResult,
    EdgePositionsRequest,
    EdgePositionsResult,
    EdgeSetsRequest,
    EdgeSetsResult,
)
from analysis.results.draft import AlternativeName, DraftRequest, DraftResult, Standing
from analysis.results.graph import (
    DIRECTIONS,
    Direction,
    EdgeLabels,
    EdgesResult,
    GraphRequest,
    GraphResult,
)
from analysis.results.neurons import RUNS_SHOWN, NeuronsRequest, NeuronsResult
from analysis.results.node import (
    PATTERNS_SHOWN,
    WRITES_READ,
    NodeRequest,
    NodeResult,
    PatternShown,
    WriteRead,
)
from analysis.results.node_attribution import NodeAttributionRequest, NodeAttributionResult, RunShown
from analysis.results.overview import OverviewRequest, OverviewResult
from analysis.results.patching import (
    AllSourcesRequest,
    AllSourcesResult,
    EffectScale,
    PatchingResult,
    PathRequest,
    PathResult,
)
from analysis.results.paths import ChosenPathsRequest, HeadPathsRequest, PathsResult, StrongestPathsRequest
from analysis.results.position import position_from_start
from analysis.results.provenance import Provenance, Result
from analysis.results.sanity import SanityRequest, SanityResult
from analysis.results.sets import MOST_PAIRS, PromptSet, PromptSetRequest, PromptSetResult, TextPair
from analysis.results.work import Arrays, GrowingResult, LongWork, Pieces

__all__ = [
    "DIRECTIONS",
    "MOST_PAIRS",
    "PATTERNS_SHOWN",
    "RUNS_SHOWN",
    "WRITES_READ",
    "AllSourcesRequest",
    "AllSourcesResult",
    "AlternativeName",
    "Arrays",
    "AttributionRequest",
    "AttributionResult",
    "ChosenPathsRequest",
    "CircuitRequest",
    "CircuitResult",
    "CircuitScoresRequest",
    "CircuitScoresResult",
    "Direction",
    "DraftRequest",
    "DraftResult",
    "EdgeLabels",
    "EdgePositionsRequest",
    "EdgePositionsResult",
    "EdgeSetsRequest",
    "EdgeSetsResult",
    "EdgesResult",
    "EffectScale",
    "GraphRequest",
    "GraphResult",
    "GrowingResult",
    "HeadPathsRequest",
    "LongRequest",
    "LongWork",
    "NeuronsRequest",
    "NeuronsResult",
    "NodeAttributionRequest",
    "NodeAttributionResult",
    "NodeRequest",
    "NodeResult",
    "OverviewRequest",
    "OverviewResult",
    "PatchingResult",
    "PathRequest",
    "PathResult",
    "PathsResult",
    "PatternShown",
    "Pieces",
    "PromptSet",
    "PromptSetRequest",
    "PromptSetResult",
    "Provenance",
    "Request",
    "Result",
    "RunShown",
    "SanityRequest",
    "SanityResult",
    "Standing",
    "StrongestPathsRequest",
    "TextPair",
    "WriteRead",
    "position_from_start",
    "request_from_json",
    "request_to_json",
]
