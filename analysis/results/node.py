"""One node of the residual graph from near: what it attends to, and what its write says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from analysis.errors import PathscopeError
from analysis.requests import MetricName, Request
from analysis.results.graph import EdgesResult
from analysis.results.position import position_from_start

if TYPE_CHECKING:
    import pandas as pd

#: Which of a head's attention patterns is shown: that of a run, or the difference of two.
PatternShown = Literal["clean", "corrupted", "patched", "clean_minus_corrupted", "patched_minus_corrupted"]
PATTERNS_SHOWN: tuple[PatternShown, ...] = get_args(PatternShown)
#: Of which write the promoted tokens are told: the clean run's, or what it has over the corrupted run's.
WriteRead = Literal["clean", "clean_minus_corrupted"]
WRITES_READ: tuple[WriteRead, ...] = get_args(WriteRead)


@dataclass(frozen=True, eq=False)
class NodeResult(EdgesResult):
    """A node's attention, what its write promotes, and what an edge into it is worth.

    `attention[run, query, key]` are the attention probabilities of a head, runs in the order of `runs`:
    clean, corrupted and, where there is an edge, patched: the corrupted run in which that edge alone carries
    what its writer wrote on the clean prompt. With grouped keys it is the query head's own pattern. An MLP
    and the embedding attend to nothing: then there are no runs.

    `by_source[run, query, key]` splits `answer_minus_foil[run, query]` by the token `key` that the head
    reads, clean and corrupted: ``pattern[query, key] * v[key] @ W_O`` in place of the whole write. Empty
    where that is no sum: an MLP, the embedding, and heads that are normed together before they write.

    `answer_minus_foil[run, pos]` is the direct logit effect of the node's write on answer minus foil, clean
    and corrupted, in logits: ``(write / scale) @ (W_U[:, answer] - W_U[:, foil])`` under the final norm's
    scale of the same run (`write` less its mean first where that norm is a LayerNorm), as direct logit
    attribution has it. `promotion[read, pos, i]` is the same for single tokens ``W_U[:, token]``, for each of
    `WRITES_READ`, the second being clean effect minus corrupted effect: the most promoted tokens first, the
    most suppressed last, as many of each. `promoted_ids` and `promoted_tokens` tell which tokens these are.
    Left out: whatever later nodes make of the write, every bias, and the cap of models that cap their logits.
    A write is what is added to the residual stream; where a block norms its attention output, a head's is its
    share of that.

    `edge_worth` is what the edge alone brings back and what it breaks (`DIRECTIONS`), measured, as shares of
    `difference`; NaN without an edge. `provenance.resolution` is that of the logits.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "attention",
        "by_source",
        "answer_minus_foil",
        "promotion",
        "promoted_ids",
        "edge_worth",
    )

    request: NodeRequest
    attention: Float[np.ndarray, "run query key"]
    by_source: Float[np.ndarray, "run query key"]
    answer_minus_foil: Float[np.ndarray, "run pos"]
    promotion: Float[np.ndarray, "read pos token"]
    promoted_ids: Int[np.ndarray, "read pos token"]
    promoted_tokens: tuple[tuple[tuple[str, ...], ...], ...]
    edge_worth: Float[np.ndarray, " direction"]

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs whose attention there is."""
        return ("clean", "corrupted", "patched")[: len(self.attention)]

    @property
    def patterns(self) -> tuple[PatternShown, ...]:
        """The patterns and differences of patterns that there are."""
        return tuple(shown for shown in PATTERNS_SHOWN if {*shown.split("_minus_")} <= {*self.runs})

    def pattern(self, shown: PatternShown) -> Float[np.ndarray, "query key"]:
        """One pattern, or a difference of two. Raises `PathscopeError` for one that there is not."""
        if shown not in self.patterns:
            there = f"Choose from {', '.join(self.patterns)}" if self.runs else "Choose a head"
            edge = ", or ask for an edge into it" if self.runs and self.request.edge is None else ""
            raise PathscopeError(f"{self.request.node} has no attention pattern {shown!r}. {there}{edge}.")
        first, *second = (self.attention[self.runs.index(run)] for run in shown.split("_minus_"))
        return first - second[0] if second else first

    def read_from(self, shown: WriteRead) -> Float[np.ndarray, "query key"]:
        """`by_source` of the clean run, or clean minus corrupted.

        Raises `PathscopeError` where the write is no sum over tokens.
        """
        if not self.by_source.size:
            raise PathscopeError(
                f"What {self.request.node} writes is no sum over the tokens that it reads. Choose a head"
                + (" of another model." if self.runs else ".")
            )
        clean, corrupted = self.by_source
        return clean if shown == "clean" else clean - corrupted

    def tokens(self, shown: PatternShown) -> tuple[str, ...]:
        """The prompt to which a pattern belongs; differences are told on the clean one's tokens."""
        return self.clean_tokens if "clean" in shown else self.corrupted_tokens

    def position(self, position: int) -> int:
        """`position`, counted from the end if negative, as an index from the start.

        Raises `PathscopeError` for one that the prompts do not have.
        """
        return position_from_start(position, len(self.clean_tokens))

    def attention_table(self) -> pd.DataFrame:
        """One row for each query and each key that it may attend to, on the clean and the corrupted run.

        Columns: run, query, key, query_token, key_token, attention. Empty where nothing is attended to.
        """
        import pandas as pd

        tokens = {"clean": self.clean_tokens, "corrupted": self.corrupted_tokens}
        texts = {
            # Half of a surrogate pair is no text to a table, nor to a file.
            run: [token.encode("utf-8", "backslashreplace").decode() for token in of_run]
            for run, of_run in tokens.items()
        }
        rows = [
            (run, query, key, texts[run][query], texts[run][key], pattern[query, key])
            for run, pattern in zip(texts, self.attention, strict=False)
            for query in range(len(pattern))
            for key in range(query + 1)
        ]
        return pd.DataFrame(rows, columns=["run", "query", "key", "query_token", "key_token", "attention"])

    def promoted(self, position: int, read: WriteRead = "clean") -> pd.DataFrame:
        """The tokens that the write at one position promotes most, and last those that it suppresses most.

        Columns: token, id, logits, below_resolution. Raises `PathscopeError` for a position that the prompts
        do not have.
        """
        import pandas as pd

        at = WRITES_READ.index(read), self.position(position)
        texts, logits = self.promoted_tokens[at[0]][at[1]], self.promotion[at]
        # Half of a surrogate pair is no text to a table, nor to a file.
        tokens = [text.encode("utf-8", "backslashreplace").decode() for text in texts]
        return pd.DataFrame({"token": tokens, "id": self.promoted_ids[at], "logits": logits}).assign(
            below_resolution=self.below_resolution(logits)
        )


@dataclass(frozen=True)
class NodeRequest(Request[NodeResult]):
    """One node, a writer's label such as L23H0, MLP3 or embed, and perhaps an edge that leads into it.

    Raises `PathscopeError` for a node that the model does not have, and an edge that does not lead there.
    """

    computed_by = "analysis.circuit:node_result"
    version = 3

    node: str
    edge: tuple[str, str] | None = None
    metric: MetricName = "logit_difference"
