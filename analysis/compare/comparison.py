"""The same quantity of the same items in two results, called A and B."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two results say of the same items.

    `a[i]` and `b[i]` are the values of the item `labels[i]`, both in `unit`; `resolutions` is what rounding
    alone can explain in either, in the same unit. Where the items make a map, `places[i]` is the row and
    column of an item in it, and `rows` and `columns` name both.
    """

    labels: tuple[str, ...]
    a: Float[np.ndarray, " item"]
    b: Float[np.ndarray, " item"]
    unit: str
    resolutions: tuple[float, float] = (0.0, 0.0)
    places: Int[np.ndarray, "item 2"] | None = None
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def difference(self) -> Float[np.ndarray, " item"]:
        """B minus A: what changes on the way from A to B."""
        return self.b - self.a

    @property
    def resolution(self) -> float:
        """What rounding alone can explain in a difference: that of A and that of B together."""
        return sum(self.resolutions)

    @property
    def below_resolution(self) -> Bool[np.ndarray, " item"]:
        """Where rounding alone can explain the difference."""
        return np.abs(self.difference) < self.resolution

    @cached_property
    def order(self) -> Int[np.ndarray, " item"]:
        """The items, the largest difference in size first."""
        return np.argsort(-np.abs(self.difference), kind="stable")

    @property
    def correlation(self) -> float:
        """Pearson's correlation of A and B over the items: 1 where B is a positive multiple of A, but for a
        constant; NaN where all values of either are the same, or there are fewer than two.
        """
        if len(self.labels) < 2 or np.ptp(self.a) == 0 or np.ptp(self.b) == 0:
            return float("nan")
        return float(np.corrcoef(self.a, self.b)[0, 1])

    def maps(self) -> Float[np.ndarray, "map row column"]:
        """A, B and B minus A as maps, NaN where there is no item, and 0 for what rounding alone can explain.

        Only for items that make a map.
        """
        assert self.places is not None
        found = np.full((3, len(self.rows), len(self.columns)), np.nan)
        sides = ((self.a, self.resolutions[0]), (self.b, self.resolutions[1]))
        for (values, least), into in zip((*sides, (self.difference, self.resolution)), found, strict=True):
            into[tuple(self.places.T)] = np.where(np.abs(values) < least, 0.0, values)
        return found

    def table(self) -> pd.DataFrame:
        """One row per item, the largest difference in size first.

        Columns: item, a, b, difference (B minus A), all in `unit`, below_resolution.
        """
        import pandas as pd

        table = pd.DataFrame(
            {
                "item": self.labels,
                "a": self.a,
                "b": self.b,
                "difference": self.difference,
                "below_resolution": self.below_resolution,
            }
        )
        return table.iloc[self.order].reset_index(drop=True)
