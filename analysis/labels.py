"""Heads and tokens as people read them."""

from __future__ import annotations

_VISIBLE = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍"})


def shown_token(token: str) -> str:
    r"""`token` with its whitespace made visible; nothing else is changed.

    >>> shown_token(" Mary"), shown_token("\n")
    ('·Mary', '⏎')
    """
    return token.translate(_VISIBLE)


def head_label(layer: int, head: int) -> str:
    """The field's name for a head.

    >>> head_label(3, 7)
    'L3H7'
    """
    return f"L{layer}H{head}"
