"""Live proof that the numbers can be trusted: identities, parity, published figures."""

from analysis.sanity.checks import Check, checked

__all__ = [
    "Check",
    "checked",
]
