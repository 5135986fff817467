"""Direct logit attribution of one run, for every position at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float

from analysis.requests import Request, RunName, Unit
from analysis.results.position import position_from_start
from analysis.results.provenance import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class AttributionResult(Result):
    """Direct logit attribution of the logit difference answer - foil, in logits.

    `attribution[c, p]` is the direct contribution of part c, called `labels[c]`, at position p;
    positive pushes towards the answer. `logit_difference[p]` is the model's own, before the cap where
    it caps its logits; `bias_difference` is `b_U[answer] - b_U[foil]`, which no part writes. For units
    `component` and `head` the column sums to `logit_difference - bias_difference`; for `layer` the
    entries are cumulative and the last one alone is that. There `lens[c, p]` is the logit lens beside it
    (nostalgebraist 2020): the same stage read through the final norm with the norm's own scale recomputed
    on it, without the unembedding bias; the last entries of both agree. Empty for the other units.
    """

    arrays: ClassVar[tuple[str, ...]] = ("attribution", "logit_difference", "lens")

    request: AttributionRequest
    attribution: Float[np.ndarray, "component pos"]
    logit_difference: Float[np.ndarray, " pos"]
    lens: Float[np.ndarray, "stage pos"]
    bias_difference: float
    labels: tuple[str, ...]
    tokens: tuple[str, ...]
    n_layers: int
    n_heads: int

    @property
    def reconstructed(self) -> Float[np.ndarray, " pos"]:
        """What the parts add up to at each position, unembedding bias included."""
        cumulative = self.request.unit == "layer"
        parts = self.attribution[-1] if cumulative else self.attribution.sum(axis=0)
        return parts + self.bias_difference

    @property
    def gap(self) -> Float[np.ndarray, " pos"]:
        """Sum of the parts minus the model's own logit difference; zero up to rounding."""
        return self.reconstructed - self.logit_difference

    def position(self, position: int) -> int:
        """`position`, counted from the end if negative, as an index from the start.

        Raises `PathscopeError` for one that the prompt does not have.
        """
        return position_from_start(position, len(self.tokens))

    def table(self, position: int | None = None) -> pd.DataFrame:
        """Long form, one row per part (and position when `position` is None).

        Columns: component (the part's label), position, token, attribution in logits, below_resolution;
        for unit `layer` also lens, in logits.
        Raises `PathscopeError` for a position that the prompt does not have.
        """
        import pandas as pd

        positions = range(len(self.tokens)) if position is None else [self.position(position)]
        # Half of a surrogate pair is no text to a table, nor to a file.
        tokens = [token.encode("utf-8", "backslashreplace").decode() for token in self.tokens]
        table = pd.DataFrame(
            [
                {"component": label, "position": p, "token": tokens[p], "attribution": value}
                for p in positions
                for label, value in zip(self.labels, self.attribution[:, p], strict=True)
            ]
        )
        if self.lens.size:
            table["lens"] = self.lens[:, positions].T.ravel()
        return table.assign(below_resolution=self.below_resolution(table["attribution"].to_numpy()))


@dataclass(frozen=True)
class AttributionRequest(Request[AttributionResult]):
    """Direct logit attribution of one run, for every position at once."""

    computed_by = "analysis.attribution:whole_attribution"
    version = 3
    reads = ("analysis.attribution:activations_read",)

    unit: Unit = "component"
    run: RunName = "clean"
