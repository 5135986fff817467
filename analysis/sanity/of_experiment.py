"""Every check of one experiment, as the result that is shown."""

from __future__ import annotations

from analysis.experiment import Origin
from analysis.results import SanityRequest, SanityResult
from analysis.sanity.checks import checked


def sanity_result(request: SanityRequest, origin: Origin) -> SanityResult:
    """What each identity and parity check measures on the request's experiment."""
    return SanityResult(
        request=request,
        checks=checked(request.experiment, origin.runs, request.edges),
        provenance=origin.provenance(),
    )
