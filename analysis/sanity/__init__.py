"""Live proof that the numbers can be trusted: identities, parity, published figures."""

from analysis.sanity.checks import Check, checked
from analysis.sanity.of_experiment import sanity_result

__all__ = [
    "Check",
    "checked",
    "sanity_result",
]
