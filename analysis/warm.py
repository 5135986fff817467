"""Compute and store what the ready examples show at the default choices: ``python -m analysis.warm``.

Run it once before opening a hosted demo, or after an upgrade. What is stored already is not
computed again, and an interrupted run goes on from where it stood.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from tqdm.auto import tqdm

from analysis import answers, jobs
from analysis.demo_model.examples import EXAMPLES, Example
from analysis.errors import PathscopeError
from analysis.models import DEMO
from analysis.requests import HEAD_INPUTS, RUN_NAMES, UNITS, Experiment
from analysis.results import (
    AllSourcesRequest,
    AttributionRequest,
    DraftRequest,
    LongRequest,
    OverviewRequest,
    Request,
    SanityRequest,
)
from analysis.settings import settings

_POLL_SECONDS = 0.05


def requests_of(example: Example) -> Iterator[Request[Any]]:
    """What the pages ask for when `example` is opened: every unit, run and patched input, else the defaults.

    Single sources are rows of the sweeps.
    """
    experiment = Experiment(DEMO, example.clean, example.corrupted, example.answer, example.foil)
    yield DraftRequest(experiment)
    yield OverviewRequest(experiment)
    yield from (AttributionRequest(experiment, unit, run) for run in RUN_NAMES for unit in UNITS)
    yield from (AllSourcesRequest(experiment, component) for component in HEAD_INPUTS)
    yield SanityRequest(experiment)


def warm(request: Request[Any]) -> str | None:
    """Have `request` computed and stored; a sentence if it could not be stored.

    Raises `PathscopeError` where it cannot be computed.
    """
    if not isinstance(request, LongRequest):
        return answers.answer(request).note
    job = jobs.submit(request)
    while not (snapshot := job.snapshot()).finished:
        job.watch()
        time.sleep(_POLL_SECONDS)
    if snapshot.state != "done":
        raise PathscopeError(snapshot.error or f"The {request.called} was stopped.", *snapshot.remedies)
    return snapshot.note


def main() -> int:
    """Warm every ready example; 1 if a setting is wrong, or something could not be computed or stored."""
    try:
        settings()
    except PathscopeError as error:
        print(error, file=sys.stderr)
        return 1
    requests = [(example.title, request) for example in EXAMPLES for request in requests_of(example)]
    problems = []
    with tqdm(requests, unit="result") as bar:
        for title, request in bar:
            bar.set_description(title)
            try:
                note = warm(request)
            except PathscopeError as error:
                note = str(error)
            if note is not None:
                problems.append(f"{title}, {type(request).__name__}: {note}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
