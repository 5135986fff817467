"""Work that takes long: a result that grows, and the pieces by which it does.

A kind that is a `LongRequest` names as `computed_by` what makes a `LongWork` of a request and its
`analysis.experiment.Origin`. Whoever drives it (`analysis.answers` in one go, `analysis.jobs` with
stops and resumes, the workers of a cluster piece by piece) knows nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from jaxtyping import Float

from analysis.results.provenance import Result

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class GrowingResult(Result):
    """A result that can be shown before it is whole."""

    #: What `n_done` and `n_total` count, in the plural.
    counted: ClassVar[str] = "parts"

    @property
    def n_done(self) -> int:
        """How many parts are final."""
        raise NotImplementedError

    @property
    def n_total(self) -> int:
        """How many parts are final once the result is whole."""
        raise NotImplementedError

    def filled(self, pieces: Iterable[Arrays]) -> Self:
        """This result with what finished `pieces` of its work hold."""
        raise NotImplementedError

    @property
    def progress(self) -> str:
        """How far the work has come, for people."""
        return f"{self.n_done:,} of {self.n_total:,} {self.counted} measured"


G = TypeVar("G", bound=GrowingResult, covariant=True)


class LongWork(Protocol[G]):
    """The work of one request before it is cut into pieces."""

    def prepared(self) -> Arrays:
        """What decides how the work is cut; stored, so that work that goes on is cut as it was."""

    def cut(self, prepared: Arrays) -> Pieces[G]:
        """The pieces of the work; the same arrays give the same pieces."""


class Pieces(Protocol[G]):
    """The work of one request in pieces, each computed by itself and stored when it is finished."""

    @property
    def content(self) -> dict[str, Any]:
        """All that decides what a piece holds, beyond the request and the number of threads, as JSON.

        A stored piece is taken over only where all of it is the same.
        """

    @property
    def shares(self) -> Float[np.ndarray, " piece"]:
        """The share of each piece in the whole work."""

    @property
    def start(self) -> G:
        """The result before the first piece."""

    def run(
        self, finished: Mapping[int, Arrays], stop: Callable[[], bool] | None = None
    ) -> Iterator[tuple[int, Arrays]]:
        """Index and content of each piece as it is done, but for those that a former run has `finished`.

        Unless the request is `in_sequence`, what the finished ones hold is not looked at. Raises `Cancelled`
        once `stop()` is true, asked often enough to stop within a second.
        """
