"""Direct logit attribution of every node of the residual graph, on both runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int

from analysis.errors import PathscopeError
from analysis.labels import head_label, node_name
from analysis.requests import Request
from analysis.results.position import position_from_start
from analysis.results.provenance import Result

if TYPE_CHECKING:
    import pandas as pd

#: Of which run an attribution is shown, or of which difference.
RunShown = Literal["clean", "corrupted", "clean_minus_corrupted"]


@dataclass(frozen=True, eq=False)
class NodeAttributionResult(Result):
    """What every node writes straight to the logit difference answer - foil, on both runs, in logits.

    `attribution[run, node, pos]` is the direct contribution of the node `labels[node]`, clean run first:
    ``(write / scale) @ (W_U[:, answer] - W_U[:, foil])`` under the final norm's scale of the same run.
    Nodes are ``embed`` (token and position embedding together), every head, the bias of each layer's
    attention (``bias3``, which belongs to no head), and every MLP; they sum to
    `logit_difference[run, pos]`, the model's own before a cap, minus `bias_difference`.
    """

    arrays: ClassVar[tuple[str, ...]] = ("attribution", "logit_difference")

    request: NodeAttributionRequest
    attribution: Float[np.ndarray, "run node pos"]
    logit_difference: Float[np.ndarray, "run pos"]
    bias_difference: float
    clean_tokens: tuple[str, ...]
    corrupted_tokens: tuple[str, ...]
    n_layers: int
    n_heads: int

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The label of every node."""
        found = ["embed"]
        for layer in range(self.n_layers):
            heads = [head_label(layer, head) for head in range(self.n_heads)]
            found += [*heads, f"bias{layer}", f"MLP{layer}"]
        return tuple(found)

    def shown(self, run: RunShown) -> Float[np.ndarray, "node pos"]:
        """The attribution of one run, or clean minus corrupted."""
        clean, corrupted = self.attribution
        return {"clean": clean, "corrupted": corrupted}.get(run, clean - corrupted)

    def whole(self, run: RunShown) -> Float[np.ndarray, " pos"]:
        """The model's own logit difference that goes with `shown`."""
        clean, corrupted = self.logit_difference
        return {"clean": clean, "corrupted": corrupted}.get(run, clean - corrupted)

    def tokens(self, run: RunShown) -> tuple[str, ...]:
        """The prompt that goes with `shown`; a difference is told on the clean one's tokens."""
        return self.corrupted_tokens if run == "corrupted" else self.clean_tokens

    def position(self, position: int) -> int:
        """`position`, counted from the end if negative, as an index from the start.

        Raises `PathscopeError` for one that the prompts do not have.
        """
        return position_from_start(position, len(self.clean_tokens))

    def by_layer(self, run: RunShown, position: int) -> Float[np.ndarray, "layer slot"]:
        """Heads, then attention bias, then MLP of each layer at one position; the embedding is left out."""
        return self.shown(run)[1:, self.position(position)].reshape(self.n_layers, self.n_heads + 2)

    def map_places(self) -> tuple[tuple[str, ...], tuple[str, ...], Int[np.ndarray, "node 2"]]:
        """A map of all nodes: the names of its rows and columns, and the row and column of each node.

        The embedding stands above the layers, MLPs and then biases of attention beside the heads.
        """
        slots = [*range(self.n_heads), self.n_heads + 1, self.n_heads]
        places = [(0, 0), *((layer + 1, slot) for layer in range(self.n_layers) for slot in slots)]
        rows = ("embedding", *map(str, range(self.n_layers)))
        columns = (*map(str, range(self.n_heads)), "MLP", "bias")
        return rows, columns, np.array(places)

    def node(self, label: str) -> int:
        """The index of a node. Raises `PathscopeError` for one that the model does not have."""
        if label not in self.labels:
            raise PathscopeError(f"The model has no {label!r}. Choose 'embed', a head or an MLP.")
        return self.labels.index(label)

    def table(self, run: RunShown = "clean", position: int | None = None) -> pd.DataFrame:
        """One row per node (and position when `position` is None), those that write nothing at all left out.

        Columns: node, name, position, token, attribution in logits, below_resolution.
        """
        import pandas as pd

        values = self.shown(run)
        positions = range(values.shape[1]) if position is None else [self.position(position)]
        # Half of a surrogate pair is no text to a table, nor to a file.
        tokens = [token.encode("utf-8", "backslashreplace").decode() for token in self.tokens(run)]
        writes = [index for index in range(len(self.labels)) if values[index].any()]
        rows = [
            (self.labels[index], node_name(self.labels[index]), at, tokens[at], values[index, at])
            for at in positions
            for index in writes
        ]
        table = pd.DataFrame(rows, columns=["node", "name", "position", "token", "attribution"])
        return table.assign(
            below_resolution=self.below_resolution(table["attribution"].to_numpy(dtype=float))
        )


@dataclass(frozen=True)
class NodeAttributionRequest(Request[NodeAttributionResult]):
    """Direct logit attribution of every node, on both runs, for every position at once."""

    computed_by = "analysis.attribution:node_attribution_result"
    version = 2
    reads = ("analysis.attribution:activations_read",)
