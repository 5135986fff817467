"""A limit on memory that the kernel itself enforces, as it does on a host: a control group of Linux."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class _Layout:
    """Where one version of control groups keeps what is asked here."""

    parent: Path
    limit: str
    peak: str
    events: str


_V1 = _Layout(_ROOT / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control")
_V2 = _Layout(_ROOT, "memory.max", "memory.peak", "memory.events")


@dataclass(frozen=True)
class Group:
    """Processes that share a limit; the kernel drops their pages of files first, then ends one of them."""

    folder: Path
    layout: _Layout

    def command(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """`command`, begun within the group: what it maps counts there from its first page on."""
        return ("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs"), *command)

    def ended(self) -> int:
        """How many processes were ended for want of memory."""
        events = dict(line.split() for line in (self.folder / self.layout.events).read_text().splitlines())
        return int(events["oom_kill"])

    def most_bytes(self) -> int:
        """The most that all processes held together, pages of files that were read included."""
        return int((self.folder / self.layout.peak).read_text())


def possible() -> bool:
    """Whether this process may make a group with a limit."""
    try:
        with limited(1000):
            return True
    except (OSError, RuntimeError):
        return False


def _layout() -> _Layout | None:
    for layout in (_V1, _V2):
        if os.access(layout.parent, os.W_OK) and (layout.parent / "cgroup.procs").exists():
            controllers = layout.parent / "cgroup.subtree_control"
            if layout is _V1 or (controllers.exists() and "memory" in controllers.read_text().split()):
                return layout
    return None


@contextmanager
def limited(megabytes: float) -> Iterator[Group]:
    """A group that may hold so many megabytes (10^6 bytes), removed at the end."""
    layout = _layout()
    if layout is None:
        raise RuntimeError("No control group can be made here: that takes root on Linux.")
    folder = layout.parent / f"pathscope-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / layout.limit).write_text(f"{megabytes * 1e6:.0f}")
        yield Group(folder, layout)
    finally:
        _remove(folder)


def _remove(folder: Path, patience: float = 10.0) -> None:
    """Remove a group, which the kernel allows once its last process is gone."""
    deadline = time.monotonic() + patience
    while True:
        try:
            folder.rmdir()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
