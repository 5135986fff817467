"""Direct paths between heads by query, key and value together, each of them measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float, Int

from analysis.labels import head_label
from analysis.requests import HEAD_INPUTS, LayerNormMode, MetricName, Request
from analysis.results.graph import EdgeLabels
from analysis.results.patching import PatchingResult, edge_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PathsResult(PatchingResult):
    """Some of the model's direct paths between heads, into whichever of q, k and v.

    `edges[i]` is (source layer, source head, destination layer, destination head) of the i-th path,
    `components[i]` the index in `HEAD_INPUTS` of what it is patched into, and `effect[i]` the metric with
    that path alone patched minus the corrupted baseline, in the metric's unit. `n_paths` is how many such
    paths the model has.
    """

    arrays: ClassVar[tuple[str, ...]] = ("edges", "components", "effect")

    request: StrongestPathsRequest | HeadPathsRequest | ChosenPathsRequest
    edges: Int[np.ndarray, "path 4"]
    components: Int[np.ndarray, " path"]
    effect: Float[np.ndarray, " path"]
    n_layers: int
    n_heads: int

    @property
    def n_paths(self) -> int:
        """How many paths into q, k or v of a later head the model has."""
        return len(HEAD_INPUTS) * self.n_heads**2 * self.n_layers * (self.n_layers - 1) // 2

    @property
    def labels(self) -> EdgeLabels:
        """Source and patched input of each path, such as ``("L0H3", "L2H5.v")``, in the order of `effect`."""
        ends = zip(self.edges.tolist(), self.components.tolist(), strict=True)
        return tuple(
            (head_label(sl, sh), f"{head_label(dl, dh)}.{HEAD_INPUTS[component]}")
            for (sl, sh, dl, dh), component in ends
        )

    def table(self) -> pd.DataFrame:
        """One row per path, the largest absolute effect first.

        Columns: source, destination, component, sl, sh, dl, dh, effect, recovery, below_resolution.
        """
        table = edge_table(self, self.edges, self.effect)
        order = np.argsort(-np.abs(self.effect), kind="stable")
        table.insert(2, "component", [HEAD_INPUTS[index] for index in self.components[order]])
        return table

    def by_source(self) -> Float[np.ndarray, "layer head"]:
        """Of each head, the effect of the path out of it that is largest in size; NaN where none is here."""
        found = np.full((self.n_layers, self.n_heads), np.nan)
        weakest_first = np.argsort(np.abs(self.effect), kind="stable")
        for place, effect in zip(
            self.edges[weakest_first, :2].tolist(), self.effect[weakest_first].tolist(), strict=True
        ):
            found[tuple(place)] = effect
        return found

    def map_of(self, component: int, end: str, layer: int, head: int) -> Float[np.ndarray, "layer head"]:
        """The effects of all paths into one component whose `end` is that head, by their other end.

        `end` is "source" or "destination"; NaN where there is no such path.
        """
        found = np.full((self.n_layers, self.n_heads), np.nan)
        own, other = (slice(0, 2), slice(2, 4)) if end == "source" else (slice(2, 4), slice(0, 2))
        chosen = (self.components == component) & (self.edges[:, own] == (layer, head)).all(axis=1)
        found[tuple(self.edges[chosen][:, other].T)] = self.effect[chosen]
        return found


@dataclass(frozen=True)
class StrongestPathsRequest(Request[PathsResult]):
    """The strongest direct paths between heads, over q, k and v together.

    Every path is estimated, and the `n_paths` largest estimates are measured. That no other path is
    stronger is not proved. Raises `UnsupportedModelError` where there is no estimate.
    """

    computed_by = "analysis.patching:strongest_paths_result"
    computed_together = "analysis.patching:strongest_paths_results"
    version = 2

    layer_norm: LayerNormMode = "frozen"
    metric: MetricName = "logit_difference"
    n_paths: int = 50


@dataclass(frozen=True)
class HeadPathsRequest(Request[PathsResult]):
    """Every direct path out of one head and into it, over q, k and v.

    Raises `PathscopeError` for a head that the model does not have.
    """

    computed_by = "analysis.patching:head_paths_result"
    version = 2

    layer: int
    head: int
    layer_norm: LayerNormMode = "frozen"
    metric: MetricName = "logit_difference"

    @property
    def label(self) -> str:
        """The head's label."""
        return head_label(self.layer, self.head)


@dataclass(frozen=True)
class ChosenPathsRequest(Request[PathsResult]):
    """Given direct paths between heads, each measured alone, in their order.

    A path is named as by `PathsResult.labels`. Raises `PathscopeError` for what is no such path.
    """

    computed_by = "analysis.patching:chosen_paths_result"
    version = 2

    paths: EdgeLabels
    layer_norm: LayerNormMode = "frozen"
    metric: MetricName = "logit_difference"

    def measured_paths(self, n_layers: int, n_heads: int, n_tokens: int) -> int:
        """Those that are asked for."""
        return len(self.paths)


@dataclass(frozen=True, eq=False)
class PathPositionsResult(PatchingResult):
    """One direct path between heads, patched at one position at a time.

    `effect[p]` is the metric with what the source wrote at position p alone patched, minus the corrupted
    baseline, and `whole` the same with every position patched at once; both in the metric's unit.

    The positions need not add up to the whole. What the destination's own output changes by does add up
    where the path leads into its query or value: each query acts at its own position, and the output is
    linear in the values. Keys of all positions meet in one softmax. What later layers and the final norm make
    of the output is linear in no case.
    """

    arrays: ClassVar[tuple[str, ...]] = ("effect",)

    request: PathPositionsRequest
    effect: Float[np.ndarray, " pos"]
    whole: float

    @property
    def rest(self) -> float:
        """The whole minus the sum over positions: what only several positions bring about together."""
        return self.whole - float(self.effect.sum())

    def table(self) -> pd.DataFrame:
        """One row per position. Columns: position, clean, corrupted, effect, recovery, below_resolution."""
        import pandas as pd

        return pd.DataFrame(
            {
                "position": range(len(self.effect)),
                "clean": list(self.clean_tokens),
                "corrupted": list(self.corrupted_tokens),
                "effect": self.effect,
                "recovery": self.recovery(self.effect),
                "below_resolution": self.below_resolution(self.effect),
            }
        )


@dataclass(frozen=True)
class PathPositionsRequest(Request[PathPositionsResult]):
    """Which position of the prompt a path between two heads matters at; `path` is named as by `PathsResult`.

    Raises `PathscopeError` for what is no such path, `UnsupportedModelError` where the replay does not know
    the model.
    """

    computed_by = "analysis.patching:path_positions_result"
    version = 2

    path: tuple[str, str]
    layer_norm: LayerNormMode = "frozen"
    metric: MetricName = "logit_difference"

    def measured_paths(self, n_layers: int, n_heads: int, n_tokens: int) -> int:
        """The path at each position."""
        return n_tokens
