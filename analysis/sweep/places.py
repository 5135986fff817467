"""Where a view of logits [batch pos d_vocab] stands in them: which positions and tokens it touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

#: A part of at most so many logits is looked up one by one, and only their tokens are computed.
FEW = 1024


@dataclass(frozen=True, eq=False)
class Places:
    """Single logits: the positions and tokens among which they are, and where each stands among those."""

    positions: tuple[int, ...]
    tokens: tuple[int, ...]
    prompt_of: Int[Tensor, "*any"]
    position_of: Int[Tensor, "*any"]
    token_of: Int[Tensor, "*any"]

    @classmethod
    def of(cls, flat: Int[Tensor, "*any"], shape: tuple[int, int, int]) -> Places:
        """From where they stand in the contiguous whole."""
        _, n_positions, d_vocab = shape
        row, token = flat // d_vocab, flat % d_vocab
        positions, position_of = (row % n_positions).unique(return_inverse=True)
        tokens, token_of = token.unique(return_inverse=True)
        prompt_of = row // n_positions
        return cls(tuple(positions.tolist()), tuple(tokens.tolist()), prompt_of, position_of, token_of)


def flat_places(
    size: torch.Size,
    stride: tuple[int, ...],
    offset: int,
    device: torch.device,
    select: Callable[[Tensor], Tensor],
) -> Int[Tensor, "*any"] | None:
    """Where in the contiguous whole that stands which `select` picks from a view; None if it is much.

    `select` is asked for each axis apart, along which the places grow by `stride`.
    """
    flat = torch.tensor(offset, device=device)
    for axis, (length, step) in enumerate(zip(size, stride, strict=True)):
        along = torch.arange(length, device=device) * step
        picked = select(along.view(-1, *(1,) * (len(size) - axis - 1)).expand(size))
        if picked.numel() > FEW:
            return None
        flat = flat + picked
    return flat


@lru_cache(maxsize=256)
def places_of(
    size: torch.Size, stride: tuple[int, ...], offset: int, device: torch.device, shape: tuple[int, int, int]
) -> Places:
    """The places of a small view."""
    flat = flat_places(size, stride, offset, device, lambda along: along)
    assert flat is not None
    return Places.of(flat, shape)


@lru_cache(maxsize=256)
def touched_positions(
    size: torch.Size, stride: tuple[int, ...], offset: int, shape: tuple[int, int, int]
) -> tuple[int, ...]:
    """The positions that a view touches; all of them where it runs across the ends of rows."""
    _, n_positions, d_vocab = shape
    last_token, rows = offset % d_vocab, np.array(offset // d_vocab)
    for length, step in zip(size, stride, strict=True):
        if step % d_vocab:
            last_token += (length - 1) * step
        elif step:
            rows = rows[..., None] + np.arange(length) * (step // d_vocab)
    if last_token >= d_vocab:
        return tuple(range(n_positions))
    return tuple(np.unique(rows % n_positions).tolist())
