"""Where a result is being made: from which runs, and since when."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from analysis.experiment.keys import versions
from analysis.experiment.runs import Runs
from analysis.results import Provenance, Result

R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Origin:
    """The runs that a result is made from, and when its making began."""

    runs: Runs
    started: float = field(default_factory=time.perf_counter)

    def provenance(
        self,
        engine: str = "forward",
        replay_gap: float | None = None,
        resolution: float | None = None,
        notes: tuple[str, ...] = (),
    ) -> Provenance:
        """The provenance of a result that is finished now; the arguments are its fields."""
        model = self.runs.model
        return Provenance(
            model=model.name,
            fingerprint=model.fingerprint,
            versions=versions(),
            device=model.device,
            dtype=model.dtype,
            engine=engine,
            created=_now(),
            seconds=time.perf_counter() - self.started,
            replay_gap=replay_gap,
            precision=model.dtype,
            resolution=resolution,
            notes=notes,
        )

    def finished(self, result: R, seconds_before: float = 0.0) -> R:
        """`result`, which grew since `started`, as one that is finished now.

        `seconds_before` were spent by former runs on what it takes over from them.
        """
        seconds = time.perf_counter() - self.started + seconds_before
        return replace(result, provenance=replace(result.provenance, created=_now(), seconds=seconds))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
