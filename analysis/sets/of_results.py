"""Stored results, one for each prompt of a set, brought together as agreement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.labels import node_name
from analysis.results import EdgeLabels, NodeAttributionResult, PathsResult, RunShown
from analysis.sets.agreement import STRONGEST, Agreement, largest

if TYPE_CHECKING:
    import pandas as pd


def node_agreement(results: Sequence[NodeAttributionResult], run: RunShown) -> Agreement:
    """Direct attribution at the last token, in logits, of every node that writes something."""
    effect = np.stack([result.shown(run)[:, -1] for result in results])
    (writes,) = np.nonzero(effect.any(axis=0))
    below = np.stack([result.below_resolution(result.shown(run)[:, -1]) for result in results])
    return Agreement(
        labels=tuple(node_name(results[0].labels[index]) for index in writes),
        effect=effect[:, writes],
        below_resolution=below[:, writes],
        strongest=largest(effect[:, writes]),
        whole=np.array([result.whole(run)[-1] for result in results]),
    )


def node_table(
    results: Sequence[NodeAttributionResult], numbers: Sequence[int], run: RunShown
) -> pd.DataFrame:
    """One row per prompt and node that writes something at the last token, `numbers` naming the prompts.

    Columns: prompt, and those of `NodeAttributionResult.table`.
    """
    import pandas as pd

    return pd.concat(
        [
            result.table(run, -1).assign(prompt=number)
            for result, number in zip(results, numbers, strict=True)
        ],
        ignore_index=True,
    )


def leading_paths(result: PathsResult) -> EdgeLabels:
    """The strongest paths of one prompt, the largest effect first."""
    order = np.argsort(-np.abs(result.effect), kind="stable")[:STRONGEST]
    return tuple(result.labels[index] for index in order)


def paths_to_compare(results: Sequence[PathsResult]) -> EdgeLabels:
    """The union of the strongest paths of all prompts, in the order of their first naming."""
    return tuple(dict.fromkeys(path for result in results for path in leading_paths(result)))


def paths_left(result: PathsResult, paths: EdgeLabels) -> EdgeLabels:
    """Those of `paths` that are not measured in `result`."""
    measured = set(result.labels)
    return tuple(path for path in paths if path not in measured)


def known_effects(*results: PathsResult | None) -> dict[tuple[str, str], float]:
    """The effect of every path that any of `results` on one prompt holds."""
    return {
        label: value
        for result in results
        if result is not None
        for label, value in zip(result.labels, result.effect.tolist(), strict=True)
    }


def path_agreement(strongest: Sequence[PathsResult], left: Sequence[PathsResult | None]) -> Agreement:
    """The effect of every path that leads anywhere, in each prompt, in the metric's unit.

    `strongest[p]` answers a `StrongestPathsRequest` on prompt p, and `left[p]` measures what of
    `paths_to_compare` it does not hold; None where it holds all.
    """
    paths = paths_to_compare(strongest)
    effect = np.empty((len(strongest), len(paths)))
    below = np.empty(effect.shape, dtype=bool)
    for row, results in enumerate(zip(strongest, left, strict=True)):
        known = known_effects(*results)
        effect[row] = [known[path] for path in paths]
        below[row] = strongest[row].below_resolution(effect[row])
    leads = [set(leading_paths(result)) for result in strongest]
    return Agreement(
        labels=tuple(" → ".join(path) for path in paths),
        effect=effect,
        below_resolution=below,
        strongest=np.array([[path in leading for path in paths] for leading in leads]),
        whole=np.array([result.clean_metric - result.corrupted_metric for result in strongest]),
    )
