"""Direct path patching, from one source head or from every one, to every later head."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float

from analysis.labels import head_label
from analysis.nodes import causal_edges
from analysis.requests import FoundIn, HeadInput, LayerNormMode, LongRequest, MetricName, Request
from analysis.results.provenance import Result
from analysis.results.work import Arrays, GrowingResult

if TYPE_CHECKING:
    import pandas as pd

    from analysis.results.every_path import PathEstimatesRequest
    from analysis.results.paths import (
        ChosenPathsRequest,
        HeadPathsRequest,
        PathPositionsRequest,
        StrongestPathsRequest,
    )

#: How the change that a path makes is told: in the metric's unit, or as a share of clean minus corrupted.
EffectScale = Literal["effect", "recovery"]


@dataclass(frozen=True, eq=False)
class PatchingResult(Result):
    """What all results about direct paths between heads share.

    Values are in the metric's own unit. `corrupted_metric` is the baseline: what the metric
    reads with nothing patched. `clean_metric` is what it reads on the clean run.
    """

    request: (
        PathRequest
        | AllSourcesRequest
        | StrongestPathsRequest
        | HeadPathsRequest
        | ChosenPathsRequest
        | PathEstimatesRequest
        | PathPositionsRequest
    )
    corrupted_metric: float
    clean_metric: float
    clean_tokens: tuple[str, ...]
    corrupted_tokens: tuple[str, ...]

    def recovery(self, effect: np.ndarray) -> np.ndarray:
        """`effect` on the scale 0 = corrupted run, 1 = clean run; no unit.

        NaN where the metric is the same on both runs.
        """
        span = self.clean_metric - self.corrupted_metric
        return effect / span if span else np.full_like(effect, np.nan)


@dataclass(frozen=True, eq=False)
class PathResult(PatchingResult):
    """One source head to every later head.

    `values[dl, dh]` is the metric, in its own unit, with the path patched; NaN where there is no
    causal path.
    """

    arrays: ClassVar[tuple[str, ...]] = ("values",)

    request: PathRequest
    values: Float[np.ndarray, "layer head"]

    @property
    def effect(self) -> Float[np.ndarray, "layer head"]:
        """Metric minus the corrupted baseline; NaN where there is no causal path."""
        return self.values - self.corrupted_metric

    def table(self) -> pd.DataFrame:
        """One row per destination head with a causal path, largest absolute effect first.

        Columns: source, destination, sl, sh, dl, dh, effect, recovery, below_resolution.
        """
        source = (self.request.source_layer, self.request.source_head)
        rows = np.argwhere(~np.isnan(self.values))
        edges = np.concatenate([np.broadcast_to(source, rows.shape), rows], axis=1)
        return edge_table(self, edges, self.effect[tuple(rows.T)])


@dataclass(frozen=True, eq=False)
class AllSourcesResult(PatchingResult, GrowingResult):
    """Every source head to every later head; may be partly estimated while a sweep runs.

    `values[sl, sh, dl, dh]` is the metric, in its own unit, with that path patched, NaN where it is
    not (yet) measured. `estimate` is an estimate of the *effect*, exact at the destination and to first
    order after it, NaN where there is none; it fills cells only until they are measured.
    """

    arrays: ClassVar[tuple[str, ...]] = ("values", "estimate")
    counted: ClassVar[str] = "paths"

    request: AllSourcesRequest
    values: Float[np.ndarray, "layer head layer head"]
    estimate: Float[np.ndarray, "layer head layer head"]

    @property
    def causal(self) -> Bool[np.ndarray, "layer head layer head"]:
        """True where the destination lies in a later layer than the source."""
        return causal_edges(*self.values.shape[:2])

    @property
    def measured(self) -> Bool[np.ndarray, "layer head layer head"]:
        """True where the value is measured, False where it is estimated, missing or no path."""
        return ~np.isnan(self.values)

    @cached_property
    def n_done(self) -> int:
        """How many paths are measured."""
        return int(self.measured.sum())

    @cached_property
    def n_total(self) -> int:
        """How many causal paths there are."""
        return int(self.causal.sum())

    @property
    def complete(self) -> bool:
        """Whether every causal cell is measured."""
        return bool((self.measured == self.causal).all())

    @cached_property
    def effect(self) -> Float[np.ndarray, "layer head layer head"]:
        """The measured effect, else the estimate; NaN where there is no causal path."""
        return np.where(self.measured, self.values - self.corrupted_metric, self.estimate)

    @property
    def missed(self) -> Float[np.ndarray, "layer head layer head"]:
        """The measured effect minus its estimate, in the metric's unit; NaN where either is not there."""
        return self.values - self.corrupted_metric - self.estimate

    def filled(self, pieces: Iterable[Arrays]) -> AllSourcesResult:
        """This result with the paths of `pieces` measured."""
        values = self.values.copy()
        for piece in pieces:
            values[tuple(piece["edges"].T)] = piece["values"]
        return replace(self, values=values)

    def single_source(self, layer: int, head: int) -> PathResult:
        """The row of one source head, as the single-source request would measure it.

        NaN also where it is not measured yet.
        """
        fields_of_request = {
            name: getattr(self.request, name) for name in ("experiment", "component", "layer_norm", "metric")
        }
        return PathResult(
            request=PathRequest(source_layer=layer, source_head=head, **fields_of_request),
            provenance=self.provenance,
            corrupted_metric=self.corrupted_metric,
            clean_metric=self.clean_metric,
            clean_tokens=self.clean_tokens,
            corrupted_tokens=self.corrupted_tokens,
            values=self.values[layer, head],
        )

    def table(self, most: int | None = None) -> pd.DataFrame:
        """One row per path with an effect, the largest absolute one first; `measured` tells estimates apart.

        Columns as of `PathResult.table`, and measured. `most` limits the rows.
        """
        edges = np.argwhere(~np.isnan(self.effect))
        table = edge_table(self, edges, self.effect[tuple(edges.T)], most)
        table["measured"] = self.measured[tuple(table[["sl", "sh", "dl", "dh"]].to_numpy().T)]
        return table


@dataclass(frozen=True)
class PathRequest(Request[PathResult]):
    """Direct path patching from one source head to every later head."""

    computed_by = "analysis.patching:path_result"
    version = 2
    reads = ("analysis.sweep:activations_read",)

    source_layer: int
    source_head: int
    component: HeadInput = "q"
    layer_norm: LayerNormMode = "frozen"
    metric: MetricName = "logit_difference"

    def found_in(self) -> tuple[FoundIn[PathResult], ...]:
        """The sweep over all sources, of which a single one is a row."""
        every = AllSourcesRequest(self.experiment, self.component, self.layer_norm, self.metric)
        return ((every, self._row),)

    def _row(self, every: AllSourcesResult) -> PathResult | None:
        n_layers, n_heads = every.values.shape[:2]
        if not (0 <= self.source_layer < n_layers and 0 <= self.source_head < n_heads):
            return None
        return every.single_source(self.source_layer, self.source_head)


@dataclass(frozen=True)
class AllSourcesRequest(LongRequest[AllSourcesResult]):
    """Direct path patching from every source head to every later head."""

    computed_by = "analysis.patching:AllSourcesWork"
    version = 3
    reads = ("analysis.sweep:activations_read",)
    called = "sweep"

    component: HeadInput = "q"
    layer_norm: LayerNormMode = "frozen"
    metric: MetricName = "logit_difference"

    def measured_paths(self, n_layers: int, n_heads: int, n_tokens: int) -> int:
        """Every head to every later one."""
        return n_heads**2 * n_layers * (n_layers - 1) // 2


def edge_table(
    result: PatchingResult, edges: np.ndarray, effect: np.ndarray, most: int | None = None
) -> pd.DataFrame:
    """One row for each of `edges`, the largest absolute effect first; `most` limits the rows.

    Columns: source, destination, sl, sh, dl, dh, effect, recovery, below_resolution.
    """
    import pandas as pd

    order = np.argsort(-np.abs(effect), kind="stable")[:most]
    edges, effect = edges[order], effect[order]
    table = pd.DataFrame(edges, columns=["sl", "sh", "dl", "dh"])
    table.insert(0, "source", [head_label(*edge[:2]) for edge in edges])
    table.insert(1, "destination", [head_label(*edge[2:]) for edge in edges])
    return table.assign(
        effect=effect, recovery=result.recovery(effect), below_resolution=result.below_resolution(effect)
    )
