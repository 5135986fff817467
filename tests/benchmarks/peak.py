"""Peak resident memory of a stretch of code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Peak:
    """Filled in when the stretch ends: bytes above what was resident at its start."""

    bytes: int = 0


@contextmanager
def peak_above_start() -> Iterator[Peak]:
    """Measure the kernel's own high-water mark (Linux); 0 elsewhere."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    peak = Peak()
    if not clear.exists():
        yield peak
        return
    clear.write_text("5")  # resets VmHWM to the present size
    start = kibibytes(status, "VmRSS")
    yield peak
    peak.bytes = 1024 * (kibibytes(status, "VmHWM") - start)


def kibibytes(status: Path, name: str) -> int:
    """The value of one line of a process's `status` file."""
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
