"""A stand-in for the computation of results, so that no model is needed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from analysis.results import OverviewRequest, OverviewResult, Provenance, Request


def provenance() -> Provenance:
    return Provenance("m", "f", {}, "cpu", "float32", "forward", "2000-01-01T00:00:00+00:00", 0.1)


def overview(request: OverviewRequest) -> OverviewResult:
    """A result made of nothing but the request, so that no model is needed."""
    top = ((" g", 1.0, 0.5),)
    return OverviewResult(
        request, provenance(), (" a",), (" b",), (0,), top, top, {"kl_from_clean": (0.0, 1.0)}, 3, 4
    )


class Computing:
    """Stands in for `analysis.answers.compute.compute`: counts, and takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *failures: Exception) -> None:
        self.requests: list[Request[Any]] = []
        self._failures = list(failures)
        self._pause = threading.Event()
        monkeypatch.setattr("analysis.answers.compute.compute", self)

    def __call__(self, request: OverviewRequest, store: object) -> OverviewResult:
        self.requests.append(request)
        self._pause.wait(0.2)
        if self._failures:
            raise self._failures.pop(0)
        return overview(request)
