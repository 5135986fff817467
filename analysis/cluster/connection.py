"""The connection of this process to a scheduler: one for each address, kept until it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.errors import PathscopeError

if TYPE_CHECKING:
    from distributed import Client, Future

#: Seconds to wait for a scheduler that does not answer, and for one to take its leave.
_PATIENCE, _FAREWELL = 10.0, 2.0
#: Only plain data is taken from a worker: what would have to be unpickled is refused.
_PLAIN = ("dask", "msgpack")


@dataclass(frozen=True)
class Worker:
    """What a scheduler says of a worker: `at_once` is how many tasks it takes at a time."""

    address: str
    at_once: int
    resources: dict[str, float]


class Connection:
    """A scheduler that answers."""

    def __init__(self, address: str, client: Client) -> None:
        self.address, self._client = address, client
        #: What workers have said when they were asked, by their address and the question.
        self.said: dict[tuple[str, bytes], bytes] = {}

    @property
    def lost(self) -> bool:
        """Whether the scheduler has been lost; one that is there again knows nothing of what was asked."""
        return self._client.status != "running"

    def gone(self) -> PathscopeError:
        """What is told when the scheduler has been lost."""
        return PathscopeError(
            f"The scheduler at {self.address} was lost. What it was working on is measured again; what had "
            "come back is stored. Start it anew with its workers, and run this again."
        )

    def workers(self) -> dict[str, Worker]:
        """The workers that there are now, by address. Raises `PathscopeError` once the scheduler is lost."""
        try:
            known = self._client.scheduler_info(n_workers=-1)["workers"]
        except Exception as error:  # what a broken connection raises depends on where it breaks
            raise self.gone() from error
        return {
            address: Worker(address, int(said["nthreads"]), dict(said["resources"]))
            for address, said in known.items()
        }

    def submit(self, function: Callable[..., bytes], *arguments: Any, key: str, **how: Any) -> Future:
        """Have a worker call `function`; whoever submits the same `key` gets the same run of it.

        Raises `PathscopeError` once the scheduler is lost.
        """
        if self.lost:
            raise self.gone()
        return self._client.submit(function, *arguments, key=key, pure=True, **how)

    def close(self) -> None:
        """Take leave of the scheduler."""
        self._client.close(timeout=_FAREWELL)


_open: dict[str, Connection] = {}
_guard = threading.Lock()


def connected(address: str) -> Connection:
    """The connection to the scheduler at `address`, made if there is none or the last one was lost.

    Raises `PathscopeError` where no scheduler answers, or `distributed` is not installed.
    """
    with _guard:
        held = _open.get(address)
        if held is not None and not held.lost:
            return held
        if held is not None:
            held.close()
        _open[address] = Connection(address, _client(address))
        return _open[address]


def _client(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise PathscopeError(
            f"PATHSCOPE_CLUSTER is {address!r}, and the libraries for a cluster are not installed. Run `pip "
            "install -r tests/requirements-cluster.txt`, or unset it."
        ) from error

    class Trying(Client):
        """A client whose loop ends where no scheduler answers: else each try leaves a thread that runs on."""

        def start(self, **how: Any) -> None:
            try:
                super().start(**how)
            except BaseException:
                self._loop_runner.stop()
                raise

    try:
        return Trying(
            address,
            timeout=_PATIENCE,
            set_as_default=False,
            serializers=_PLAIN,
            deserializers=_PLAIN,
        )
    except (OSError, ValueError) as error:
        raise PathscopeError(
            f"No scheduler answers at {address} (PATHSCOPE_CLUSTER) within {_PATIENCE:g} s. Start one with "
            "`dask scheduler` and its workers with `dask worker`, or unset it to compute here."
        ) from error
