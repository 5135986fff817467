"""Positions of a prompt, as results take them."""

from __future__ import annotations

from analysis.errors import PathscopeError


def position_from_start(position: int, n_positions: int) -> int:
    """`position`, counted from the end if negative, as an index from the start.

    Raises `PathscopeError` for one that a prompt of so many tokens does not have.

    >>> position_from_start(-1, 15)
    14
    """
    if not -n_positions <= position < n_positions:
        raise PathscopeError(
            f"There is no position {position}: the prompt has {n_positions} tokens. "
            f"Choose a position from {-n_positions} to {n_positions - 1}."
        )
    return position % n_positions
