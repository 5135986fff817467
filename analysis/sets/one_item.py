"""One node or path in every prompt of a set: its effect, and its rank among all that were looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from analysis.results import NodeAttributionResult, PathsResult, RunShown
from analysis.sets.agreement import STRONGEST, Agreement
from analysis.sets.of_results import known_effects

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ItemAgreement:
    """An `Agreement` of one item alone, and in each prompt its `rank` by size: 1 is the largest.

    The rank is that among the item and what is known of the others: of nodes all, of paths the strongest
    that are measured in the prompt.
    """

    agreement: Agreement
    rank: Int[np.ndarray, " prompt"]

    @property
    def effect(self) -> Float[np.ndarray, " prompt"]:
        """That of the item in each prompt."""
        effects: np.ndarray = self.agreement.effect[:, 0]
        return effects

    @property
    def robust(self) -> bool:
        """Whether it holds by the `RULE`."""
        return bool(self.agreement.robust[0])

    def table(self, numbers: Sequence[int]) -> pd.DataFrame:
        """One row per prompt, which `numbers` name. Columns: prompt, effect, below_resolution, rank."""
        import pandas as pd

        return pd.DataFrame(
            {
                "prompt": numbers,
                "effect": self.effect,
                "below_resolution": self.agreement.below_resolution[:, 0],
                "rank": self.rank,
            }
        )


def one_node(results: Sequence[NodeAttributionResult], node: str, run: RunShown) -> ItemAgreement:
    """Direct attribution of `node`, a label of the results, at the last token, in logits."""
    every = np.stack([result.shown(run)[:, -1] for result in results])
    effect = every[:, results[0].labels.index(node)]
    below = [result.below_resolution(one) for result, one in zip(results, effect, strict=True)]
    whole = np.array([result.whole(run)[-1] for result in results])
    return _item(node, effect, np.array(below), [np.abs(row) for row in every], whole)


def one_path(
    strongest: Sequence[PathsResult], left: Sequence[PathsResult | None], path: tuple[str, str]
) -> ItemAgreement:
    """The effect of `path` in the metric's unit.

    `strongest[p]` answers a `StrongestPathsRequest` on prompt p, and `left[p]` measures the path where it is
    not among those; None where it is.
    """
    effect = np.array([known_effects(*both)[path] for both in zip(strongest, left, strict=True)])
    below = [result.below_resolution(one) for result, one in zip(strongest, effect, strict=True)]
    whole = np.array([result.clean_metric - result.corrupted_metric for result in strongest])
    others = [np.abs(result.effect) for result in strongest]
    return _item(" → ".join(path), effect, np.array(below), others, whole)


def _item(
    label: str,
    effect: Float[np.ndarray, " prompt"],
    below: np.ndarray,
    sizes: Sequence[Float[np.ndarray, " other"]],
    whole: Float[np.ndarray, " prompt"],
) -> ItemAgreement:
    rank = np.array([1 + (size > abs(own)).sum() for size, own in zip(sizes, effect.tolist(), strict=True)])
    leads = (rank <= STRONGEST)[:, None]
    return ItemAgreement(Agreement((label,), effect[:, None], below[:, None], leads, whole), rank)
