"""Both sides of a comparison, asked for one after the other, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import streamlit as st

from analysis.answers import Answer, answer, stored
from analysis.compare import (
    Comparison,
    attribution_comparison,
    check_shapes,
    path_comparison,
    strongest_comparison,
    sweep_comparison,
)
from analysis.errors import PathscopeError
from analysis.requests import METRIC_UNITS, MetricName
from analysis.results import (
    AllSourcesRequest,
    ChosenPathsRequest,
    NodeAttributionRequest,
    NodeAttributionResult,
    OverviewRequest,
    PatchingResult,
    PathRequest,
    PathsResult,
    Result,
    StrongestPathsRequest,
)
from analysis.sets import paths_left, paths_to_compare
from pages.shared.cards import answer_or_stop, error_card
from pages.shared.choices import METRIC
from pages.shared.compare_sides import Side
from pages.shared.compare_words import ATTRIBUTED, PATCHED, wholes
from pages.shared.keys import PROMPT_KEYS, Key
from pages.shared.navigation import ALL_SOURCES, page_link

R = TypeVar("R", bound=Result)


@dataclass(frozen=True, eq=False)
class Found:
    """Both results, and the comparison; without one, `refused` says why there is none.

    `called` are the words for an item and its value, `whole` tells what both sides are parts of, `axes` what
    stands down and across in the maps.
    """

    a: Result
    b: Result
    from_store: bool
    called: tuple[str, str]
    whole: str
    axes: tuple[str, str] = ("", "")
    comparison: Comparison | None = None
    refused: str = ""

    def origin(self) -> dict[str, str]:
        """Where the numbers of both sides come from."""
        return self.a.origin() | {f"B: {label}": text for label, text in self.b.origin().items()}


def _compared(found: Found, compare: Callable[[], Comparison]) -> Found:
    try:
        return replace(found, comparison=compare())
    except PathscopeError as error:
        return replace(found, refused=str(error))


def attributions(a: Side, b: Side) -> tuple[Answer[NodeAttributionResult], Answer[NodeAttributionResult]]:
    """Attribution on both sides."""
    waiting = "Attributing the logit difference"
    ours = answer_or_stop(lambda: answer(NodeAttributionRequest(a.experiment)), f"{waiting}: A")
    theirs = of_b(lambda: answer(NodeAttributionRequest(b.experiment)), f"{waiting}: B")
    return ours, theirs


def compared_attributions(
    a: Side, b: Side, ours: Answer[NodeAttributionResult], theirs: Answer[NodeAttributionResult]
) -> Found:
    """What every node writes, each side on its run and at its position."""
    both = []
    for side, result in ((a, ours.result), (b, theirs.result)):
        both.append((result, side.run, side.at(len(result.clean_tokens))))
    whole = wholes(
        "The model's own logit difference",
        "logits",
        *(float(result.whole(run)[at]) for result, run, at in both),
    )
    found = Found(
        *(ours.result, theirs.result, ours.from_store and theirs.from_store),
        *(ATTRIBUTED, whole, ("layer", "head")),
    )
    return _compared(found, lambda: attribution_comparison(*both))


def compared_paths_of_a_head(a: Side, b: Side, metric: MetricName) -> Found:
    """The paths from one head, the same on both sides, where both models have as many heads."""
    state = st.session_state
    asked = state[Key.SOURCE_LAYER], state[Key.SOURCE_HEAD], state[Key.COMPONENT]
    waiting = "Loading the model and running both prompts"
    ours = answer_or_stop(lambda: answer(OverviewRequest(a.experiment)), f"{waiting}: A")
    theirs = of_b(lambda: answer(OverviewRequest(b.experiment)), f"{waiting}: B")
    try:
        check_shapes(*((found.result.n_layers, found.result.n_heads) for found in (ours, theirs)))
    except PathscopeError as error:
        return Found(ours.result, theirs.result, True, PATCHED, "", refused=str(error))
    requests = [PathRequest(side.experiment, *asked, side.layer_norm, metric) for side in (a, b)]
    one = answer_or_stop(lambda: answer(requests[0]), "Patching every path: A")
    other = of_b(lambda: answer(requests[1]), "Patching every path: B")
    found = Found(
        *(one.result, other.result, one.from_store and other.from_store),
        *(PATCHED, _runs_apart(one.result, other.result), ("destination layer", "destination head")),
    )
    return _compared(found, lambda: path_comparison(one.result, other.result))


def compared_strongest_paths(a: Side, b: Side, metric: MetricName) -> Found:
    """The paths that lead on either side, each measured on both."""
    waiting = "Looking for the strongest paths"
    ours, theirs = (StrongestPathsRequest(side.experiment, side.layer_norm, metric) for side in (a, b))
    one = answer_or_stop(lambda: answer(ours), f"{waiting}: A")
    other = of_b(lambda: answer(theirs), f"{waiting}: B")
    both = one.result, other.result
    found = Found(*both, one.from_store and other.from_store, PATCHED, _runs_apart(*both))
    if (both[0].n_layers, both[0].n_heads) != (both[1].n_layers, both[1].n_heads):
        return _compared(found, lambda: strongest_comparison(*both, (None, None)))
    left = [_measured_as_well(result, paths_to_compare(both)) for result in both]
    return _compared(found, lambda: strongest_comparison(*both, (left[0], left[1])))


def _measured_as_well(result: PathsResult, paths: tuple[tuple[str, str], ...]) -> PathsResult | None:
    missing = paths_left(result, paths)
    asked = result.request
    request = ChosenPathsRequest(asked.experiment, missing, asked.layer_norm, asked.metric)
    waiting = "Measuring the paths that lead on the other side"
    return answer_or_stop(lambda: answer(request), waiting).result if missing else None


def compared_sweeps(a: Side, b: Side, metric: MetricName) -> Found | None:
    """Every path of both sweeps; None where either is not finished, and then the page leads there."""
    requests = [
        AllSourcesRequest(side.experiment, st.session_state[Key.COMPONENT], side.layer_norm, metric)
        for side in (a, b)
    ]
    one, other = (stored(request) for request in requests)
    for called, side, there in (("A", a, one), ("B", b, other)):
        if there is None:
            st.text(f"The sweep of {called} is not in the store. Measure it on its page, then come back.")
            words = asdict(side.experiment) | {str(Key.LAYER_NORM): side.layer_norm}
            page_link(ALL_SOURCES, f"All sources of {called}", **words)
    if one is None or other is None:
        return None
    found = Found(one.result, other.result, True, PATCHED, _runs_apart(one.result, other.result))
    return _compared(found, lambda: sweep_comparison(one.result, other.result))


def _runs_apart(a: PatchingResult, b: PatchingResult) -> str:
    metric = a.request.metric
    apart = (result.clean_metric - result.corrupted_metric for result in (a, b))
    return wholes(f"{METRIC.options[metric]}, clean minus corrupted", METRIC_UNITS[metric], *apart)


def of_b(ask: Callable[[], Answer[R]], waiting: str) -> Answer[R]:
    """What B answers; an error is drawn as a card whose ways out change B, and ends the page's run."""
    try:
        return answer_or_stop(ask, waiting, kept=(PathscopeError,))
    except PathscopeError as error:
        remedies = tuple(
            replace(remedy, field=f"b_{remedy.field}")
            for remedy in error.remedies
            if remedy.field in (Key.MODEL, *PROMPT_KEYS)
        )
        error_card(f"Of B: {error}", remedies)
        st.stop()
