"""Let scripted visitors loose on a real server and report: ``python -m tests.soak --minutes 60``."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.soak.server import Server, serve
from tests.soak.session import Record
from tests.soak.visitor import visit_until

#: Sweeps in many small pieces, so that they can be met running; stopped soon after they are left.
ENVIRONMENT = {"PATHSCOPE_SWEEP_BYTES": "400000", "PATHSCOPE_GRACE": "3"}
#: The first part of a soak, in which models are loaded and memory settles.
WARM_UP = 1 / 3
GROWTH_LIMIT = 0.10
IDLE_SECONDS = 60.0


@dataclass(frozen=True)
class Report:
    """What a soak found."""

    minutes: float
    visitors: int
    counts: dict[str, int]
    exceptions: list[str]
    tracebacks: int
    #: The largest within each twentieth of the time, so that a leak and a warm-up can be told apart.
    mib: list[float]
    mib_after_warm_up: float
    mib_at_the_end: float
    idle_afterwards: bool

    @property
    def growth(self) -> float:
        """Memory at the end against memory after warm-up, as a share of the latter."""
        return self.mib_at_the_end / self.mib_after_warm_up - 1

    @property
    def sound(self) -> bool:
        """No exception on a page or in the log, and no sweep left running."""
        return not self.exceptions and not self.tracebacks and self.idle_afterwards


async def _soak(server: Server, seconds: float, visitors: int, seed: int) -> tuple[Record, list[float]]:
    record, loop = Record(), asyncio.get_running_loop()
    deadline = loop.time() + seconds
    visits = [
        asyncio.create_task(visit_until(deadline, server.port, random.Random(f"{seed} {number}"), record))
        for number in range(visitors)
    ]
    memory = []
    while loop.time() < deadline:
        await asyncio.sleep(min(1.0, seconds / 20))
        memory.append(server.resident_bytes() / 2**20)
    await asyncio.gather(*visits)
    return record, memory


def soak(minutes: float, visitors: int, seed: int = 0) -> Report:
    """Run a server with `visitors` at a time for `minutes`."""
    with tempfile.TemporaryDirectory() as directory, serve(Path(directory), ENVIRONMENT) as server:
        record, memory = asyncio.run(_soak(server, 60 * minutes, visitors, seed))
        idle = server.idle(IDLE_SECONDS)
        settled = memory[int(WARM_UP * len(memory)) :]
        tenth = max(1, len(settled) // 10)
        return Report(
            minutes=minutes,
            visitors=visitors,
            counts=dict(sorted(record.counts.items())),
            exceptions=record.exceptions,
            tracebacks=server.tracebacks(),
            mib=[round(max(part)) for part in _parts(memory, 20)],
            mib_after_warm_up=max(settled[:tenth]),
            mib_at_the_end=max(settled[-tenth:]),
            idle_afterwards=idle,
        )


def _parts(values: list[float], number: int) -> list[list[float]]:
    size = max(1, len(values) // number)
    return [values[start : start + size] for start in range(0, len(values), size)]


def main() -> int:
    """Print the report; 1 unless it is sound and memory has not grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--visitors", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    report = soak(chosen.minutes, chosen.visitors, chosen.seed)
    print(json.dumps(asdict(report) | {"growth": round(report.growth, 4)}, indent=2))
    return 0 if report.sound and report.growth <= GROWTH_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
