"""Live proof that the numbers can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.requests import Request
from analysis.results.graph import EdgeLabels
from analysis.results.provenance import Result


@dataclass(frozen=True, eq=False)
class SanityResult(Result):
    """Identities, parity checks and published figures: `(name, statement, measured, limit)`, each passed
    if `measured <= limit`. All are absolute differences in logits unless the statement says otherwise.
    """

    request: SanityRequest
    checks: tuple[tuple[str, str, float, float], ...]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(measured <= limit for _, _, measured, limit in self.checks)


@dataclass(frozen=True)
class SanityRequest(Request[SanityResult]):
    """The identities and parity checks, measured on one experiment, and what was published of its model.

    `edges` are the circuit whose scores are measured by hooks on the model once more; the strongest edges by
    the estimate if there are none. Raises `PathscopeError` for what is no edge of the model.
    """

    computed_by = "analysis.sanity:sanity_result"
    version = 3
    reads = ("analysis.attribution:activations_read", "analysis.sweep:activations_read")

    edges: EdgeLabels = ()

    def measured_paths(self, n_layers: int, n_heads: int, n_tokens: int) -> int:
        """Those of the circuit that is checked."""
        return len(self.edges)
