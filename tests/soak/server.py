"""The app in a process of its own, and what can be seen of it from outside."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.soak.group import Group

ROOT = Path(__file__).resolve().parent.parent.parent
#: The README's command that starts the app, without a browser of its own.
START = (sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true")


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process: psutil.Process
    log: Path

    def resident_bytes(self) -> int:
        """Memory of the server's process, pages of files that it maps included."""
        return self.process.memory_info().rss

    def own_bytes(self) -> int:
        """Memory of its own: without those pages, which the kernel can drop (Linux)."""
        held = self.process.memory_info()
        return held.rss - getattr(held, "shared", 0)

    def idle(self, seconds: float) -> bool:
        """Whether the process rests within `seconds`, which it does not while a sweep runs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.cpu_percent(interval=1.0) < 10:
                return True
        return False

    def tracebacks(self) -> int:
        """How many tracebacks the server has logged."""
        return self.log.read_text(errors="replace").count("Traceback (most recent call last)")


@contextmanager
def serve(directory: Path, environment: Mapping[str, str], group: Group | None = None) -> Iterator[Server]:
    """A server with its store and log in `directory`, stopped at the end; within `group`, if given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = directory / "server.log"
    command = (*START, f"--server.port={port}")
    with log.open("w") as output:
        process = subprocess.Popen(
            command if group is None else group.command(command),
            cwd=ROOT,
            env={**os.environ, "PATHSCOPE_STORE_DIR": str(directory / "store"), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_healthy(port, process, log)
            yield Server(port, psutil.Process(process.pid), log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_healthy(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')}")
