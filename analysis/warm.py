"""Compute and store what the ready examples show at the default choices: ``python -m analysis.warm``.

Run it once before opening a hosted demo, or after an upgrade. What is stored already is not
computed again, and an interrupted run goes on from where it stood. ``--into DIR`` also puts the results into
a folder that ships with a deployment, for `PATHSCOPE_GALLERY_DIR`; those of the models that the policy names
are there, too, as far as the examples fit them. ``--sets`` adds five prompts of the kind of each example of
the bundled models: what the page Prompt set opens with.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from analysis import answers, jobs
from analysis.demo_model.examples import Example
from analysis.errors import PathscopeError
from analysis.models import BUNDLED, DEMO, ready_examples
from analysis.policy import policy
from analysis.requests import HEAD_INPUTS, RUN_NAMES, UNITS, Experiment
from analysis.results import (
    AllSourcesRequest,
    AttributionRequest,
    ChosenPathsRequest,
    CircuitScoresRequest,
    DraftRequest,
    EdgeSetsRequest,
    GraphRequest,
    GraphResult,
    HeadPathsRequest,
    LongRequest,
    NeuronsRequest,
    NodeAttributionRequest,
    NodeAttributionResult,
    NodeRequest,
    OverviewRequest,
    PathEstimatesRequest,
    PathPositionsRequest,
    PathsResult,
    PromptSetRequest,
    Request,
    Result,
    SanityRequest,
    StrongestPathsRequest,
)
from analysis.sets import READY_SIZE, paths_left, paths_to_compare
from analysis.settings import settings
from analysis.store import Gallery, open_store

_POLL_SECONDS = 0.05
#: How many of the strongest paths pages draw together at first: the page Result, the page Circuit.
DRAWN_AT_FIRST = (10, 30)


def requests_of(example: Example, model: str = DEMO) -> Iterator[Request[Any]]:
    """What the pages ask for when `example` is opened: every unit, run and patched input, else the defaults.

    Single sources are rows of the sweeps.
    """
    experiment = _experiment(example, model)
    yield DraftRequest(experiment)
    yield OverviewRequest(experiment)
    yield from (AttributionRequest(experiment, unit, run) for run in RUN_NAMES for unit in UNITS)
    yield from (AllSourcesRequest(experiment, component) for component in HEAD_INPUTS)
    yield NodeAttributionRequest(experiment)
    yield StrongestPathsRequest(experiment)
    yield PathEstimatesRequest(experiment)
    yield GraphRequest(experiment)
    yield SanityRequest(experiment)


def requests_of_set(example: Example, model: str = DEMO) -> Iterator[Request[Any]]:
    """What pages ask for of five prompts of the kind of `example`; it goes on by what is stored meanwhile."""
    first = _experiment(example, model)
    drawing = PromptSetRequest(first, None, READY_SIZE)
    yield drawing
    drawn, graph = answers.stored(drawing), answers.stored(GraphRequest(first))
    experiments = () if drawn is None else drawn.result.prompt_set.experiments(model)
    for one in experiments:
        yield OverviewRequest(one)
        yield NodeAttributionRequest(one)
        yield StrongestPathsRequest(one)
        if graph is not None:
            yield EdgeSetsRequest(one, (graph.result.strongest(DRAWN_AT_FIRST[-1]),))
    known = [answers.stored(StrongestPathsRequest(one)) for one in experiments]
    strongest = [found.result for found in known if found is not None]
    for result in strongest:
        missing = paths_left(result, paths_to_compare(strongest))
        if missing:
            yield ChosenPathsRequest(result.request.experiment, missing)


def _experiment(example: Example, model: str) -> Experiment:
    return Experiment(model, example.clean, example.corrupted, example.answer, example.foil)


def asked_next(result: Result) -> Iterator[Request[Any]]:
    """What the pages ask for once they have `result`."""
    experiment = result.request.experiment
    if isinstance(result, GraphResult):
        for number in DRAWN_AT_FIRST:
            edges = result.strongest(number)
            yield EdgeSetsRequest(experiment, (edges,))
        yield CircuitScoresRequest(experiment, edges)
    elif isinstance(result, PathsResult) and isinstance(result.request, StrongestPathsRequest):
        if not len(result.effect):
            return
        path = result.table().iloc[0]
        reader = f"{path['destination']}.{path['component']}"
        yield HeadPathsRequest(experiment, int(path["sl"]), int(path["sh"]))
        yield NodeRequest(experiment, path["destination"], (path["source"], reader))
        yield PathPositionsRequest(experiment, (path["source"], reader))
    elif isinstance(result, NodeAttributionResult):
        table = result.table("clean", -1)
        strongest = table["attribution"].abs().sort_values(ascending=False, kind="stable").index
        named = [node for node in table["node"][strongest] if not node.startswith("bias")]
        yield NodeRequest(experiment, named[0])
        if named[0].startswith("MLP"):
            last = len(result.clean_tokens) - 1
            yield NeuronsRequest(experiment, named[0], last)


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


def main(arguments: Sequence[str] = ()) -> int:
    """Warm every ready example; 1 if a setting is wrong, or something could not be computed or stored.

    That a model of the host's does not know an example's words is told, and is none of these.
    """
    parser = ArgumentParser(prog="python -m analysis.warm")
    parser.add_argument("--into", type=Path, metavar="DIR", help="a folder to put the results into")
    parser.add_argument("--sets", action="store_true", help="and five prompts of each example's kind")
    asked = parser.parse_args(arguments)
    try:
        gallery = None if asked.into is None else Gallery(asked.into)
        problems = [told for model in BUNDLED for told in _warm_all(model, gallery)]
        if asked.sets:
            problems += [told for model in BUNDLED for told in _warm_sets(model, gallery)]
        left_out = [told for model in policy().models or () for told in _warm_all(model, gallery)]
    except PathscopeError as error:
        print(error, file=sys.stderr)
        return 1
    print(*problems, *left_out, sep="\n", end="\n" * bool(problems or left_out), file=sys.stderr)
    return 1 if problems else 0


def _warm_all(model: str, gallery: Gallery | None) -> Iterator[str]:
    """Warm the examples on `model`, and put what is stored into `gallery`; a sentence for each problem."""
    settings()
    requests = deque(
        (example.title, request)
        for example in ready_examples(model)
        for request in requests_of(example, model)
    )
    with tqdm(total=len(requests), unit="result") as bar:
        while requests:
            title, request = requests.popleft()
            bar.set_description(title)
            try:
                note = warm(request)
                more = [(title, other) for other in _kept(request, gallery)]
            except PathscopeError as error:
                note, more = str(error), []
            if note is not None:
                yield f"{title}, {type(request).__name__}: {note}"
            requests.extendleft(reversed(more))
            bar.total += len(more)
            bar.update()


def _warm_sets(model: str, gallery: Gallery | None) -> Iterator[str]:
    """The same for five prompts of the kind of each example on `model`."""
    for example in tqdm(ready_examples(model), unit="set"):
        for request in requests_of_set(example, model):
            try:
                note = warm(request)
                _kept(request, gallery)
            except PathscopeError as error:
                note = str(error)
            if note is not None:
                yield f"Five prompts like {example.title}, {type(request).__name__}: {note}"


def _kept(request: Request[Any], gallery: Gallery | None) -> list[Request[Any]]:
    """Put the stored result of `request` into `gallery`; what is asked for next."""
    store = open_store()
    found, key = answers.stored(request), answers.result_key(request, store)
    entry = store.get(key)
    if gallery is not None and entry is not None:
        gallery.add(key, entry.arrays, entry.values)
    return [] if found is None else list(asked_next(found.result))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
