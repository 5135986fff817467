"""Tokens as people can read them."""

from __future__ import annotations

_VISIBLE = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍"})


def shown_token(token: str) -> str:
    r"""`token` with its whitespace made visible; nothing else is changed.

    >>> shown_token(" Mary"), shown_token("\n")
    ('·Mary', '⏎')
    """
    return token.translate(_VISIBLE)
