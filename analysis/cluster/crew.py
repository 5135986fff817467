"""Which workers of a cluster may take part: each is asked what it is, and who does not fit is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from analysis.cluster.connection import Connection, Worker
from analysis.cluster.letters import opened
from analysis.errors import PathscopeError

if TYPE_CHECKING:
    from distributed import Future

#: Seconds between two looks at who is there, and for which a cluster without a fit worker is waited for.
_LOOK_SECONDS, _PATIENCE = 1.0, 15.0


@dataclass(frozen=True)
class Wanted:
    """What a worker says of itself when it calls `asked` with `letter`: it must hold these `facts`.

    `resources` are what one task takes of those that the worker was started with.
    """

    asked: Callable[[bytes], bytes]
    letter: bytes
    facts: Mapping[str, str]
    resources: Mapping[str, float] = field(default_factory=dict)


class Crew:
    """The workers that fit, kept up to date; of those that do not, a sentence each."""

    def __init__(self, connection: Connection, wanted: Wanted) -> None:
        self.connection, self._wanted = connection, wanted
        self.resources = wanted.resources
        self.fit: dict[str, Worker] = {}
        self._facts = dict(wanted.facts)
        self._refused: dict[str, str] = {}
        self._asked: dict[str, tuple[Worker, Future]] = {}
        self._looked = -_LOOK_SECONDS
        self._alone_since = time.monotonic()
        self._had_some = False

    def look(self) -> None:
        """See who has come and gone, at most once in a second.

        Raises `PathscopeError` where nobody fits, and nobody has come who might.
        """
        self._hear()
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        there = self.connection.workers()
        for known in (self.fit, self._refused, self._asked):
            for address in known.keys() - there.keys():
                del known[address]
        for address, worker in there.items():
            if not any(address in known for known in (self.fit, self._refused, self._asked)):
                self._meet(worker)
        self._hear()
        self._check(bool(there))

    def at_once(self) -> int:
        """How many tasks those that fit take at a time."""
        return sum(self._of_one(worker) for worker in self.fit.values())

    def hold_to(self, fact: str, value: str) -> None:
        """Want `value`, too, from here on."""
        self._facts[fact] = value
        for worker in [*self.fit.values()]:
            del self.fit[worker.address]
            self._judge(worker, self.connection.said[worker.address, self._wanted.letter])

    def told(self) -> str | None:
        """Who is refused, in a sentence each."""
        return " ".join(self._refused.values()) or None

    def _meet(self, worker: Worker) -> None:
        lacking = {
            name: number for name, number in self.resources.items() if worker.resources.get(name, 0) < number
        }
        said = self.connection.said.get((worker.address, self._wanted.letter))
        if lacking:
            self._refused[worker.address] = (
                f"The worker at {worker.address} lacks the resource {_listed(lacking)} "
                f"(PATHSCOPE_CLUSTER_RESOURCES): it was started with {_listed(worker.resources) or 'none'}."
            )
        elif said is not None:
            self._judge(worker, said)
        else:
            self._asked[worker.address] = worker, self._question(worker)

    def _question(self, worker: Worker) -> Future:
        letter = self._wanted.letter
        digest = blake2b(worker.address.encode() + letter, digest_size=16).hexdigest()
        return self.connection.submit(
            self._wanted.asked,
            letter,
            key=f"pathscope-about-{digest}",
            workers=[worker.address],
            priority=1,
        )

    def _hear(self) -> None:
        """Take in what those that were asked have said meanwhile."""
        for address, (worker, future) in [*self._asked.items()]:
            if not future.done():
                continue
            if future.status not in ("finished", "error"):
                raise self.connection.gone()
            del self._asked[address]
            try:
                said = future.result()
            except Exception as error:  # raised on the worker, most often because it lacks the sources
                self._refused[address] = (
                    f"The worker at {address} cannot take part: {type(error).__name__}, {error}. Start it "
                    "in a folder with this release of Pathscope."
                )
                continue
            self.connection.said[address, self._wanted.letter] = said
            self._judge(worker, said)

    def _judge(self, worker: Worker, said: bytes) -> None:
        try:
            facts, _ = opened(said)
        except PathscopeError as error:
            self._refused[worker.address] = f"The worker at {worker.address} cannot take part: {error}"
            return
        other = [
            f"{name} {facts.get(name)}, where {value} is wanted"
            for name, value in self._facts.items()
            if facts.get(name) != value
        ]
        if other:
            self._refused[worker.address] = f"The worker at {worker.address} is refused: {'; '.join(other)}."
        else:
            self.fit[worker.address] = worker

    def _check(self, anybody: bool) -> None:
        address = self.connection.address
        if self.fit or self._asked:
            self._alone_since, self._had_some = time.monotonic(), self._had_some or bool(self.fit)
            return
        waited = time.monotonic() - self._alone_since > _PATIENCE
        if anybody and (waited or not self._had_some):
            raise PathscopeError(
                f"No worker of the cluster at {address} fits. {self.told()} Start others, or unset "
                "PATHSCOPE_CLUSTER to compute here."
            )
        if waited:
            raise PathscopeError(
                f"The cluster at {address} has no worker, and none came within {_PATIENCE:g} s. Start one "
                f"with `dask worker {address}`, or unset PATHSCOPE_CLUSTER to compute here."
            )

    def _of_one(self, worker: Worker) -> int:
        shares = [worker.resources[name] // number for name, number in self.resources.items() if number]
        return int(min([worker.at_once, *shares]))


def _listed(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={number:g}" for name, number in resources.items())
