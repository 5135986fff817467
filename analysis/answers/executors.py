"""Who computes: this process, or the workers of a cluster. Both do the same, piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

from analysis.policy import policy
from analysis.results import GrowingResult, LongRequest, LongWork, Pieces, Request, Result
from analysis.settings import settings
from analysis.store import Store

R = TypeVar("R", bound=Result)
G = TypeVar("G", bound=GrowingResult)


class Executor(Protocol):
    """What `analysis.answers.compute` does in this process, and `analysis.answers.on_cluster` elsewhere."""

    def compute(self, request: Request[R], store: Store) -> R:
        """The result of `request`; `store` is that of this process."""

    def long_work(
        self, request: LongRequest[G], store: Store, stop: Callable[[], bool] | None = None
    ) -> LongWork[G]:
        """What `request` has to have done. Whatever of it waits for others ends once `stop()` is true."""

    def threads(self) -> int:
        """How many threads a piece is computed by."""

    def told(self, work: LongWork[Any]) -> str | None:
        """A sentence on who does the `work`, where there is something to say."""


def executor() -> Executor:
    """Who computes by what the settings say at this call; its libraries are loaded only then.

    Raises `PathscopeError` as `policy` does.
    """
    where = "on_cluster" if cluster_is_named() else "compute"
    return cast(Executor, import_module(f"analysis.answers.{where}"))


def cluster_is_named() -> bool:
    """Whether the workers of a cluster compute, as they never do for strangers. Raises as `policy` does."""
    return bool(settings().cluster) and not policy().hosted


def piece_keys(store: Store, result: str, pieces: Pieces[Any], n_threads: int) -> tuple[str, ...]:
    """The key of every piece of the work for the key of a `result`.

    A key names everything that decides what a piece holds: the result's content, what the work says of its
    cut, the number of pieces, where it is computed, and by how many threads.
    """
    n_pieces = len(pieces.shares)
    cut = {
        "result": result,
        "cut": pieces.content,
        "threads": n_threads,
        "device": device_of(pieces),
        "pieces": n_pieces,
    }
    return tuple(store.key("piece", **cut, index=index) for index in range(n_pieces))


def device_of(pieces: Pieces[Any]) -> str:
    """On what kind of device the pieces are computed, such as "cpu" or "cuda"."""
    return pieces.start.provenance.device.partition(":")[0]
