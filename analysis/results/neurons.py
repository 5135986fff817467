"""Direct logit attribution of an MLP's neurons at one position, on both runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float, Int

from analysis.errors import PathscopeError
from analysis.requests import RUN_NAMES, Request
from analysis.results.node_attribution import RunShown
from analysis.results.provenance import Result

if TYPE_CHECKING:
    import pandas as pd

#: Runs, and their difference, by which neurons are ranked.
RUNS_SHOWN: tuple[RunShown, ...] = (*RUN_NAMES, "clean_minus_corrupted")


@dataclass(frozen=True, eq=False)
class NeuronsResult(Result):
    """What each neuron of one MLP writes straight to answer minus foil at one position, in logits.

    `attribution[run, neuron]`, clean run first, is
    ``(activation * W_out[neuron] / scale) @ (W_U[:, answer] - W_U[:, foil])`` under the final norm's scale of
    the same run and position, as direct logit attribution has it for the whole MLP (less its mean first where
    that norm is a LayerNorm; where the block norms its MLP output, under that norm's scale as well).
    `activation[run, neuron]` is the hidden layer after the nonlinearity, of a gated MLP after the product
    with its other half. With `bias[run]`, what the MLP's output bias writes, the neurons sum to `whole[run]`,
    what the MLP writes.

    `promotion[i, token]` tells of the neurons `told[i]`, the strongest by any of `RUNS_SHOWN`, which tokens
    an activation of 1 promotes most and, last, suppresses most, in logits under the clean run's scale:
    ``(W_out[neuron] / scale) @ W_U``. A negative activation does the opposite. `promoted_ids` and
    `promoted_tokens` tell which tokens these are. Left out: whatever later nodes make of it, and a cap of the
    logits.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "activation",
        "attribution",
        "bias",
        "whole",
        "told",
        "promotion",
        "promoted_ids",
    )

    request: NeuronsRequest
    position: int
    activation: Float[np.ndarray, "run neuron"]
    attribution: Float[np.ndarray, "run neuron"]
    bias: Float[np.ndarray, " run"]
    whole: Float[np.ndarray, " run"]
    told: Int[np.ndarray, " told"]
    promotion: Float[np.ndarray, "told token"]
    promoted_ids: Int[np.ndarray, "told token"]
    promoted_tokens: tuple[tuple[str, ...], ...]
    clean_tokens: tuple[str, ...]
    corrupted_tokens: tuple[str, ...]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """TransformerLens's label of every neuron, such as ``L3N12``."""
        layer = self.request.node.removeprefix("MLP")
        return tuple(f"L{layer}N{neuron}" for neuron in range(self.attribution.shape[1]))

    def shown(self, run: RunShown) -> Float[np.ndarray, " neuron"]:
        """The attribution of one run, or clean minus corrupted."""
        return _of_run(self.attribution, run)

    def sums(self, run: RunShown) -> tuple[float, float, float]:
        """What all neurons write together, what the bias writes, and what the MLP writes."""
        return (
            float(self.shown(run).sum()),
            float(_of_run(self.bias, run)),
            float(_of_run(self.whole, run)),
        )

    def strongest(self, run: RunShown) -> Int[np.ndarray, " neuron"]:
        """Every neuron, the one that writes most (in size) first."""
        return np.argsort(-np.abs(self.shown(run)), kind="stable")

    def table(self, run: RunShown = "clean", most: int | None = None) -> pd.DataFrame:
        """One row for each neuron, the strongest of `run` first, or the `most` strongest.

        Columns: neuron, then in logits clean, corrupted, clean_minus_corrupted; activation_clean,
        activation_corrupted; promotes and suppresses, the tokens in quotes, empty where `told` does not tell;
        below_resolution, of `run`. Raises `PathscopeError` for a `run` that there is not.
        """
        import pandas as pd

        if run not in RUNS_SHOWN:
            raise PathscopeError(f"There is no run {run!r}. Choose from {', '.join(RUNS_SHOWN)}.")
        chosen = self.strongest(run)[:most]
        told = [
            tuple(" ".join(map(repr, tokens)) for tokens in self.promoted(neuron))
            for neuron in chosen.tolist()
        ]
        columns: dict[str, np.ndarray] = {name: self.shown(name)[chosen] for name in RUNS_SHOWN}
        return pd.DataFrame(
            {
                "neuron": [self.labels[neuron] for neuron in chosen],
                **columns,
                "activation_clean": self.activation[0, chosen],
                "activation_corrupted": self.activation[1, chosen],
                "promotes": [promoted for promoted, _ in told],
                "suppresses": [suppressed for _, suppressed in told],
                "below_resolution": self.below_resolution(columns[run]),
            }
        )

    def promoted(self, neuron: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tokens that a neuron promotes and those that it suppresses, the strongest first.

        Both are empty where `told` does not tell.
        """
        row = self._rows.get(neuron)
        if row is None:
            return (), ()
        # Half of a surrogate pair is no text to a table, nor to a file.
        tokens = [token.encode("utf-8", "backslashreplace").decode() for token in self.promoted_tokens[row]]
        half = len(tokens) // 2
        return tuple(tokens[:half]), tuple(reversed(tokens[half:]))

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {neuron: row for row, neuron in enumerate(self.told.tolist())}


def _of_run(values: Float[np.ndarray, "run ..."], run: RunShown) -> np.ndarray:
    clean, corrupted = values
    found: np.ndarray = {"clean": clean, "corrupted": corrupted}.get(run, clean - corrupted)
    return found


@dataclass(frozen=True)
class NeuronsRequest(Request[NeuronsResult]):
    """The neurons of one MLP, by its label such as MLP3, at one position (counted from the end if negative).

    Raises `PathscopeError` for a node that is no MLP of the model and a position that the prompts do not
    have, `UnsupportedModelError` where the neurons cannot be seen: the replay does not know the model's MLPs.
    """

    computed_by = "analysis.circuit:neurons_result"
    version = 2

    node: str
    position: int = -1
