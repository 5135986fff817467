"""Where a result is being made: from which runs, and since when."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from analysis.experiment.keys import versions
from analysis.experiment.runs import Runs
from analysis.results import Provenance


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
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=time.perf_counter() - self.started,
            replay_gap=replay_gap,
            precision=model.dtype,
            resolution=resolution,
            notes=notes,
        )
