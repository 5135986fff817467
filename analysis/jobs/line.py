"""How long the line of waiting jobs may be, and how long it takes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from analysis.errors import PathscopeError
from analysis.jobs.job import Job
from analysis.jobs.lanes import Visitor
from analysis.labels import counted
from analysis.policy import OWN_MACHINE, policy
from analysis.settings import settings

#: Jobs by which the next ones are judged, and what they are taken to take before there are any.
_JUDGED_BY, _SECONDS_AT_FIRST = 20, 20.0


class Line:
    """Who may still queue up."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque([_SECONDS_AT_FIRST], maxlen=_JUDGED_BY)

    def took(self, seconds: float) -> None:
        """A job has ended after so many `seconds`."""
        self._taken.append(seconds)

    def check(self, visitor: Visitor, waiting: Sequence[Job[Any]], running: Sequence[Job[Any]]) -> None:
        """Raise `PathscopeError` where no further job of `visitor` may wait."""
        rules, limit = policy(), settings().queue_length
        if rules.running is not None and rules.waiting is not None:
            # One that waits may take the place of the one that runs, where none does.
            own = sum(job.owner == visitor for job in (*waiting, *running))
            if own >= rules.running + rules.waiting:
                raise PathscopeError(
                    f"You have {counted(own, 'job')} running or waiting, and at most {rules.running} may run "
                    f"and {rules.waiting} may wait for one visitor. Cancel one, or wait until one is done. "
                    f"{OWN_MACHINE}"
                )
        if len(waiting) < limit:
            return
        if not rules.hosted:
            raise PathscopeError(
                f"{len(waiting)} jobs are waiting already, and the queue takes {limit}. Try again when "
                "some have finished, or raise PATHSCOPE_QUEUE."
            )
        minutes = counted(self.minutes(len(waiting), running), "minute")
        raise PathscopeError(
            f"This demo is busy: {counted(len(waiting), 'job')} wait, about {minutes} of work. Try again "
            f"then; the gallery stays open, and what is stored is shown at once. {OWN_MACHINE}"
        )

    def minutes(self, n_waiting: int, running: Sequence[Job[Any]]) -> int:
        """About how long it takes until all that wait and run are done, at least 1."""
        typical = sum(self._taken) / len(self._taken)
        left = [job.snapshot().seconds_left for job in running]
        seconds = n_waiting * typical + sum(typical if each is None else each for each in left)
        return max(1, math.ceil(seconds / settings().workers / 60))
