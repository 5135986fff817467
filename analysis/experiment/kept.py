"""The latest runs, kept in memory, so that all questions of an experiment read the same two.

A run is not stored: its forward pass takes less time than loading the model that every new result needs,
and what it would take of the store is thousands of times what a result takes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping

from torch import Tensor

from analysis.settings import settings


class KeptRuns:
    """Activations of the latest runs, as many as `settings().run_bytes` allow; any thread may ask."""

    def __init__(self) -> None:
        self._runs: OrderedDict[Hashable, Mapping[str, Tensor]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, key: Hashable) -> Mapping[str, Tensor] | None:
        """The activations kept under `key`; None where there are none."""
        with self._guard:
            if key in self._runs:
                self._runs.move_to_end(key)
            return self._runs.get(key)

    def keep(self, key: Hashable, run: Mapping[str, Tensor]) -> None:
        """Keep `run`, if it fits alone, and of the others the latest that fit beside it."""
        allowed = int(settings().run_bytes)
        with self._guard:
            if run_bytes(run) <= allowed:
                self._runs[key] = run
                self._runs.move_to_end(key)
            while sum(map(run_bytes, self._runs.values())) > allowed:
                self._runs.popitem(last=False)


def run_bytes(run: Mapping[str, Tensor]) -> int:
    """Bytes that the activations of `run` take."""
    return sum(value.element_size() * value.nelement() for value in run.values())
