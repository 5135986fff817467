"""Logits of patched rows, computed when they are asked for, for many edges at once."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.decoder import Decoder
from analysis.sweep.on_demand import Read

#: Whole rows are computed for so many at once: with fewer the product waits for W_U to come from memory.
ROWS_AT_ONCE = 128

#: Fewer tokens than this share of the vocabulary are computed alone.
FEW_TOKENS = 1 / 16

#: What one edge reads is computed ahead for others, until all that is kept is so many times the logits of
#: the piece: a callable that reads elsewhere for every edge gains nothing by it.
MOST_AHEAD = 2

_Part = tuple[tuple[int, ...], tuple[int, ...] | None]


class PatchedLogits:
    """Logits of one piece: the run's own `resid_final` before `start`, each edge's `normed` rows from there.

    Edges are to be asked for in ascending order.
    """

    def __init__(
        self,
        decoder: Decoder,
        resid_final: Float[Tensor, "batch pos d_model"],
        normed: Float[Tensor, "batch edge suffix d_model"],
        start: int,
    ) -> None:
        self._decoder, self._resid, self._normed, self._start = decoder, resid_final, normed, start
        self._own: dict[_Part, Tensor] = {}
        self._ahead: dict[_Part, tuple[int, Tensor]] = {}
        self._left = MOST_AHEAD * normed.shape[1] * resid_final[..., 0].numel() * decoder.W_U.shape[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """[batch pos d_vocab] of one edge."""
        return *self._resid.shape[:2], self._decoder.W_U.shape[1]

    def reader(self, edge: int) -> Read:
        """Gives the logits of one edge."""
        return partial(self._read, edge)

    def whole(self, edge: int) -> Float[Tensor, "batch pos d_vocab"]:
        """All logits of one edge, which may be written into."""
        own = self._own_rows(tuple(range(self._start)), None)
        return torch.cat([own, self._decoder.unembed(self._normed[:, edge])], dim=1)

    def _read(
        self, edge: int, positions: tuple[int, ...], tokens: tuple[int, ...] | None
    ) -> Float[Tensor, "batch read token"]:
        if tokens is not None and len(tokens) > FEW_TOKENS * self.shape[2]:
            return self._read(edge, positions, None)[..., list(tokens)]
        own = self._own_rows(tuple(p for p in positions if p < self._start), tokens)
        patched = tuple(p - self._start for p in positions if p >= self._start)
        return torch.cat([own, self._patched_rows(edge, patched, tokens)], dim=1)

    def _own_rows(self, positions: tuple[int, ...], tokens: tuple[int, ...] | None) -> Tensor:
        key = positions, tokens
        if key not in self._own:
            self._own[key] = self._decoder.logits(self._resid[:, list(positions)], _ids(tokens, self._resid))
        return self._own[key]

    def _patched_rows(self, edge: int, rows: tuple[int, ...], tokens: tuple[int, ...] | None) -> Tensor:
        key = rows, tokens
        first, found = self._ahead.get(key, (0, None))
        if found is None or not first <= edge < first + found.shape[1]:
            first, ahead = edge, self._edges_ahead(rows, tokens, known=found is not None)
            chosen = self._normed[:, edge : edge + ahead, list(rows)]
            found = self._decoder.unembed(chosen, _ids(tokens, chosen))
            if ahead > 1:
                self._ahead[key] = first, found
        return found[:, edge - first]

    def _edges_ahead(self, rows: tuple[int, ...], tokens: tuple[int, ...] | None, known: bool) -> int:
        """For how many edges to compute what one of them reads."""
        batch, n_edges = self._normed.shape[:2]
        n_rows, width = batch * len(rows), self.shape[2] if tokens is None else len(tokens)
        ahead = n_edges if tokens is not None else min(n_edges, max(1, ROWS_AT_ONCE // max(1, n_rows)))
        if not known:
            if ahead * n_rows * width > self._left:
                return 1
            self._left -= ahead * n_rows * width
        return ahead


def _ids(tokens: tuple[int, ...] | None, like: Tensor) -> Tensor | None:
    return None if tokens is None else torch.tensor(tokens, device=like.device)
