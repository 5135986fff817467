"""Every direct path between heads at once: estimated, and measured where it is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.nodes import causal_edges
from analysis.requests import HEAD_INPUTS, HeadInput, LayerNormMode, MetricName, Request
from analysis.results.patching import AllSourcesResult, PatchingResult, edge_table
from analysis.results.paths import PathsResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PathEstimatesResult(PatchingResult):
    """The estimated effect of every direct path between heads, into q, k and v.

    `estimate[input, sl, sh, dl, dh]`, inputs in the order of `HEAD_INPUTS`, is in the metric's unit: exact at
    the destination and to first order after it; NaN where there is no causal path.
    """

    arrays: ClassVar[tuple[str, ...]] = ("estimate",)

    request: PathEstimatesRequest
    estimate: Float[np.ndarray, "input layer head layer head"]

    def table(self) -> pd.DataFrame:
        """One row per path, the largest absolute estimate first.

        Columns: source, destination, component, sl, sh, dl, dh, effect, recovery, below_resolution.
        """
        places = np.argwhere(~np.isnan(self.estimate))
        effect = self.estimate[tuple(places.T)]
        order = np.argsort(-np.abs(effect), kind="stable")
        table = edge_table(self, places[order, 1:], effect[order])
        table.insert(2, "component", [HEAD_INPUTS[index] for index in places[order, 0]])
        return table


@dataclass(frozen=True)
class PathEstimatesRequest(Request[PathEstimatesResult]):
    """Every direct path between heads over q, k and v, estimated.

    Raises `UnsupportedModelError` where there is no estimate.
    """

    computed_by = "analysis.patching:path_estimates_result"
    computed_together = "analysis.patching:path_estimates_results"
    version = 2

    layer_norm: LayerNormMode = "frozen"
    metric: MetricName = "logit_difference"


@dataclass(frozen=True, eq=False)
class PathMap(PatchingResult):
    """One effect for each pair of heads: measured, else estimated; NaN where there is no causal path.

    `component[sl, sh, dl, dh]` is the index in `HEAD_INPUTS` of the input that the effect is of.
    """

    effect: Float[np.ndarray, "layer head layer head"]
    measured: Bool[np.ndarray, "layer head layer head"]
    component: Int[np.ndarray, "layer head layer head"]

    @property
    def complete(self) -> bool:
        """Whether every causal path is measured."""
        return bool((self.measured == causal_edges(*self.effect.shape[:2])).all())

    def table(self, most: int | None = None) -> pd.DataFrame:
        """One row per pair of heads, the largest absolute effect first; `most` limits the rows.

        Columns: source, destination, component, sl, sh, dl, dh, effect, recovery, below_resolution, measured.
        """
        edges = np.argwhere(~np.isnan(self.effect))
        table = edge_table(self, edges, self.effect[tuple(edges.T)], most)
        at = tuple(table[["sl", "sh", "dl", "dh"]].to_numpy().T)
        table.insert(2, "component", [HEAD_INPUTS[index] for index in self.component[at]])
        return table.assign(measured=self.measured[at])


@dataclass(frozen=True, eq=False)
class KnownPaths:
    """What is known of every direct path between heads: its measured effect, else its estimate.

    `effect[input, sl, sh, dl, dh]` is in the metric's unit, NaN where there is no causal path; `measured`
    tells measurements from estimates.
    """

    estimates: PathEstimatesResult
    effect: Float[np.ndarray, "input layer head layer head"]
    measured: Bool[np.ndarray, "input layer head layer head"]

    @classmethod
    def of(cls, estimates: PathEstimatesResult, *results: PathsResult | AllSourcesResult) -> KnownPaths:
        """The estimates, and in their place what `results` on the same question have measured."""
        nothing = cls(estimates, estimates.estimate, np.zeros(estimates.estimate.shape, dtype=bool))
        return nothing.with_measured(*results)

    def with_measured(self, *results: PathsResult | AllSourcesResult) -> KnownPaths:
        """The same, and in place of estimates what `results` on the same question have measured."""
        effect, measured = self.effect.copy(), self.measured.copy()
        for result in results:
            if isinstance(result, PathsResult):
                at = (result.components, *result.edges.T)
                effect[at], measured[at] = result.effect, True
            else:
                index = HEAD_INPUTS.index(result.request.component)
                measured[index] |= result.measured
                effect[index][result.measured] = result.effect[result.measured]
        return replace(self, effect=effect, measured=measured)

    def completing(self, sweep: AllSourcesResult) -> AllSourcesResult:
        """`sweep` with what is measured here in place of what it has only estimated."""
        index = HEAD_INPUTS.index(sweep.request.component)
        more = self.measured[index] & ~sweep.measured
        values = np.where(more, sweep.corrupted_metric + self.effect[index], sweep.values)
        return replace(sweep, values=values) if more.any() else sweep

    @cached_property
    def largest(self) -> float:
        """The largest absolute effect of all; 0 where there is no path."""
        return float(np.nanmax(np.abs(self.effect), initial=0.0))

    def into(self, component: HeadInput) -> PathMap:
        """The paths into one input."""
        return self._map(np.full(self.effect.shape[1:], HEAD_INPUTS.index(component)))

    @cached_property
    def together(self) -> PathMap:
        """Of the three paths between each pair of heads the strongest."""
        return self._map(np.nan_to_num(np.abs(self.effect)).argmax(axis=0))

    def _map(self, component: Int[np.ndarray, "layer head layer head"]) -> PathMap:
        told = self.estimates
        return PathMap(
            request=told.request,
            provenance=told.provenance,
            corrupted_metric=told.corrupted_metric,
            clean_metric=told.clean_metric,
            clean_tokens=told.clean_tokens,
            corrupted_tokens=told.corrupted_tokens,
            effect=np.take_along_axis(self.effect, component[None], 0)[0],
            measured=np.take_along_axis(self.measured, component[None], 0)[0],
            component=component,
        )
