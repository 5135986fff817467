"""A scheduler and workers as processes of their own, which a test may stop and kill."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from analysis.cluster import connection
from tests.jobs.watching import until

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Served:
    """A scheduler at one address, and its workers by name; all are killed in the end."""

    def __init__(self, log: Path) -> None:
        self.port, self._log = free_port(), log
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def scheduler(self) -> None:
        place = "--host", "127.0.0.1", "--port", str(self.port)
        self._begin("scheduler", "dask_scheduler", [*place, "--no-dashboard", "--no-show"])
        until(self._listens)

    def worker(self, name: str, *options: str) -> None:
        alone = "--no-nanny", "--nthreads", "1", "--no-dashboard", "--name", name
        self._begin(name, "dask_worker", [self.address, *alone, *options])

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def halt(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGSTOP)

    def _listens(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _begin(self, name: str, module: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        with (self._log / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )


def close_connections() -> None:
    """Close every connection of this process, before its scheduler leaves."""
    while connection._open:
        connection._open.popitem()[1].close()


def collect_sockets() -> None:
    """Close the sockets that `distributed` leaves open when a scheduler ends; its loops have ended then.

    Here, as collecting one that is open warns, and a later test would be taken for the one that left it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    for held in gc.get_objects():
        if type(held) is socket.socket and held.fileno() >= 0 and held.family == socket.AF_INET:
            held.close()


@contextmanager
def served(log: Path) -> Iterator[Served]:
    cluster = Served(log)
    try:
        yield cluster
    finally:
        close_connections()
        for name in [*cluster.processes]:
            cluster.kill(name)
        collect_sockets()
