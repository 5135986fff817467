"""Where a result is being made: from which runs, and since when."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from analysis.experiment.keys import versions
from analysis.experiment.runs import Drafts, Runs
from analysis.models import LoadedModel
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
        return replace(
            _provenance(self.runs.model, self.started),
            engine=engine,
            replay_gap=replay_gap,
            resolution=resolution,
            notes=notes,
        )


def finished(result: R, started: float, seconds_before: float = 0.0) -> R:
    """`result`, which grew since `started`, as one that is finished now.

    `seconds_before` were spent by former runs on what it takes over from them.
    """
    seconds = time.perf_counter() - started + seconds_before
    return replace(result, provenance=replace(result.provenance, created=_now(), seconds=seconds))


@dataclass(frozen=True)
class DraftOrigin:
    """The prompts, each for itself, that a result is made from, and when its making began."""

    drafts: Drafts
    started: float = field(default_factory=time.perf_counter)

    def provenance(self) -> Provenance:
        """The provenance of a result that is finished now."""
        return _provenance(self.drafts.model, self.started)


def _provenance(model: LoadedModel, started: float) -> Provenance:
    """Of a result of plain forward passes."""
    return Provenance(
        model=model.name,
        fingerprint=model.fingerprint,
        versions=versions(),
        device=model.device,
        dtype=model.dtype,
        engine="forward",
        created=_now(),
        seconds=time.perf_counter() - started,
        precision=model.dtype,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
