"""Readers and hostile visitors on a server for strangers: ``python -m tests.soak.hosted --minutes 15``.

Readers open the pages of a gallery that is all stored, each as a new visitor. Prints how long a page took
from the connection to the last element, and the memory that the server held; with ``--hostile``, visitors of
`tests.soak.hostile` are at work meanwhile. Ends with status 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlencode

from analysis.demo_model.examples import EXAMPLES
from pages.shared.keys import PROMPT_KEYS
from tests.soak.group import Group, limited
from tests.soak.hostile import ATTACKS, attack_until
from tests.soak.server import ROOT, Server, serve
from tests.soak.session import HUNG, Record, Session, connected

#: Seconds in which 95 % of the stored pages are to be drawn, and megabytes that the server may hold.
SECONDS, MEGABYTES = 2.0, 560.0
#: Seconds for which a reader reads a page, from and to.
READING = 5.0, 35.0
#: Pages that a gallery leads to.
READ = ("", "result", "direct_logit_attribution", "path_patching", "all_sources", "circuit")
ENVIRONMENT = {
    "PATHSCOPE_HOSTED": "1",
    "PATHSCOPE_TRUSTED_HEADER": "X-Forwarded-For",
    "PATHSCOPE_SWEEP_BYTES": "32MB",
    "PATHSCOPE_RUN_BYTES": "16MB",
}
#: Of the server's own machine nothing may be told, and of its code nothing but its pages.
SECRETS = (str(ROOT), "site-packages", "Traceback (most recent", "root:x:0", "def main(")


@dataclass(frozen=True)
class Gallery:
    """Stored results of the first `n_examples`; each page is read for `reading` seconds, from and to."""

    folder: Path
    n_examples: int = len(EXAMPLES)
    reading: tuple[float, float] = READING


@dataclass(frozen=True)
class Report:
    """What was measured; seconds of readers' pages, megabytes (10^6 bytes) of its own that
    the server held at most, and how often the kernel ended it (None where it set no limit)."""

    readers: int
    hostile: int
    pages: int
    seconds_p50: float
    seconds_p95: float
    megabytes: float
    counts: dict[str, int]
    exceptions: list[str]
    tracebacks: int
    ended: int | None = None

    @property
    def sound(self) -> bool:
        """Nothing raised, nothing told, nobody left waiting."""
        return not self.exceptions and not self.tracebacks and not self.ended and self.pages > 0


async def read_until(
    deadline: float, server: Server, number: int, gallery: Gallery, record: Record, seconds: list[float]
) -> None:
    """Open a stored page, read it, open the next, each as a visitor who comes anew."""
    chance, clock = random.Random(f"reader {number}"), asyncio.get_running_loop().time
    while (ready := clock() + chance.uniform(*gallery.reading)) < deadline:
        await asyncio.sleep(ready - clock())
        example = EXAMPLES[chance.randrange(gallery.n_examples)]
        words = zip(
            PROMPT_KEYS, (example.clean, example.corrupted, example.answer, example.foil), strict=True
        )
        began = clock()
        try:
            async with connected(server.port, f"7.7.{number // 256}.{number % 256}") as socket:
                session = Session(socket, record)
                await session.ask(chance.choice(READ), urlencode(dict(words)))
                await session.read_until_finished()
            seconds.append(clock() - began)
        except TimeoutError:
            record.exceptions.append(f"a reader's page was not drawn within {HUNG:.0f} s")


async def _all_at_once(
    server: Server, minutes: float, readers: int, hostile: int, gallery: Gallery
) -> tuple[Record, list[float], list[float]]:
    record = Record(secrets=SECRETS)
    seconds: list[float] = []
    memory: list[float] = []
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 60 * minutes
    tasks = [
        loop.create_task(read_until(deadline, server, number, gallery, record, seconds))
        for number in range(readers)
    ]
    tasks += [
        loop.create_task(attack_until(deadline, server.port, ATTACKS[number % len(ATTACKS)], number, record))
        for number in range(hostile)
    ]
    while loop.time() < deadline:
        await asyncio.sleep(0.5)
        memory.append(server.own_bytes() / 1e6)
    await asyncio.gather(*tasks)
    return record, seconds, memory


def visited(
    minutes: float,
    readers: int,
    hostile: int,
    gallery: Gallery,
    megabytes: float = MEGABYTES,
    group: Group | None = None,
) -> Report:
    """Serve `gallery` to `readers` and `hostile` visitors at a time, with a budget of `megabytes`."""
    environment = ENVIRONMENT | {
        "PATHSCOPE_GALLERY_DIR": str(gallery.folder),
        "PATHSCOPE_MEMORY_BYTES": f"{megabytes:.0f}MB",
    }
    with tempfile.TemporaryDirectory() as directory, serve(Path(directory), environment, group) as server:
        record, seconds, memory = asyncio.run(_all_at_once(server, minutes, readers, hostile, gallery))
        return Report(
            readers=readers,
            hostile=hostile,
            pages=len(seconds),
            seconds_p50=round(statistics.median(seconds or [HUNG]), 2),
            seconds_p95=round(sorted(seconds or [HUNG])[int(0.95 * (len(seconds) - 1))], 2),
            megabytes=round(max(memory)),
            counts=dict(sorted(record.counts.items())),
            exceptions=record.exceptions,
            tracebacks=server.tracebacks(),
            ended=None if group is None else group.ended(),
        )


def main() -> int:
    """Print the report; 1 unless it is sound and within the bars."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.hosted", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--hostile", type=int, default=0)
    parser.add_argument("--megabytes", type=float, default=MEGABYTES, help="the server's budget")
    parser.add_argument(
        "--enforce", type=float, help="megabytes at which the kernel is to end it (Linux, root)"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as gallery, tempfile.TemporaryDirectory() as store:
        command = [sys.executable, "-m", "analysis.warm", "--into", gallery]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"PATHSCOPE_STORE_DIR": store}, check=True)
        asked = (chosen.minutes, chosen.readers, chosen.hostile, Gallery(Path(gallery)), chosen.megabytes)
        with limited(chosen.enforce) if chosen.enforce else nullcontext() as group:
            report = visited(*asked, group)
    print(json.dumps(asdict(report), indent=2))
    return 0 if report.sound and report.seconds_p95 < SECONDS and report.megabytes < chosen.megabytes else 1


if __name__ == "__main__":
    sys.exit(main())
