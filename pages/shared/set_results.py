"""The results of every prompt of a set, asked for prompt by prompt and kept by prompt."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import streamlit as st
from jaxtyping import Float

from analysis.answers import ahead, answer, on_behalf_of, stored
from analysis.errors import AnswerError, MetricError, PathscopeError, PromptError, UnsupportedModelError
from analysis.requests import LayerNormMode, MetricName
from analysis.results import (
    ChosenPathsRequest,
    NodeAttributionRequest,
    NodeAttributionResult,
    OverviewRequest,
    OverviewResult,
    PathsResult,
    PromptSet,
    Request,
    Result,
    StrongestPathsRequest,
)
from analysis.sets import RULE, SEED, paths_left, paths_to_compare
from pages.shared.cards import error_card
from pages.shared.notes import note, result_notes
from pages.shared.visitor import visitor

R = TypeVar("R", bound=Result)


@dataclass
class SetResults:
    """What is known of each prompt that the model takes; `numbers` are their places in the set, from 1.

    `nodes`, and `strongest` with `left`, stay empty where the model has none; `refusals` then says why.
    """

    prompts: PromptSet
    numbers: list[int] = field(default_factory=list)
    overviews: list[OverviewResult] = field(default_factory=list)
    nodes: list[NodeAttributionResult] = field(default_factory=list)
    strongest: list[PathsResult] = field(default_factory=list)
    left: list[PathsResult | None] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    from_store: bool = True

    def metrics(self, metric: MetricName) -> Float[np.ndarray, "prompt run"]:
        """The metric of each prompt on the clean and on the corrupted run."""
        return np.array([overview.metrics[metric] for overview in self.overviews])

    def mean_by_layer(self) -> Float[np.ndarray, "layer slot"] | None:
        """The mean of the prompts' attribution, clean, at the last token, as of their `by_layer`."""
        by_layer = [result.by_layer("clean", -1) for result in self.nodes]
        return np.mean(by_layer, axis=0) if by_layer else None

    def origin(self) -> dict[str, str]:
        """Where the numbers of the first prompt come from, the pairs, and how they were brought together."""
        return self.overviews[0].origin() | {
            "prompt set": self.prompts.digest,
            "prompts": json.dumps([self.prompts.pairs[number - 1] for number in self.numbers]),
            "statistics": f"Robust: {RULE} Bootstrap over prompts, percentile, seed {SEED}.",
        }


def results_or_stop(
    prompts: PromptSet, model: str, metric: MetricName, layer_norm: LayerNormMode
) -> SetResults:
    """Everything about each prompt; a bar shows how far it is while anything is computed.

    A pair that the model does not take is told and left out. What is wrong with all of them is a card
    and ends the page's run.
    """
    found, bar = SetResults(prompts), st.empty()
    try:
        _ask_ahead(
            bar,
            *(
                request
                for each in prompts.experiments(model)
                for request in (
                    OverviewRequest(each),
                    NodeAttributionRequest(each),
                    StrongestPathsRequest(each, layer_norm, metric),
                )
            ),
        )
        for number, experiment in enumerate(prompts.experiments(model), start=1):
            say = _teller(bar, number, len(prompts))
            try:
                overview = _asked(found, OverviewRequest(experiment), say)
            except (PromptError, AnswerError, MetricError) as error:
                note(f"Prompt {number} is left out: {error}")
                continue
            found.numbers.append(number)
            found.overviews.append(overview)
            _add(found.nodes, found, NodeAttributionRequest(experiment), say)
            _add(found.strongest, found, StrongestPathsRequest(experiment, layer_norm, metric), say)
        _measure_what_others_lead_with(found, metric, layer_norm, bar)
    except PathscopeError as error:
        bar.empty()
        error_card(str(error), error.remedies)
        st.stop()
    bar.empty()
    if not found.overviews:
        error_card("The model takes none of these pairs. Choose another set, or mend the pairs.")
        st.stop()
    return found


def _measure_what_others_lead_with(
    found: SetResults, metric: MetricName, layer_norm: LayerNormMode, bar: st.delta_generator.DeltaGenerator
) -> None:
    """In each prompt, the paths that lead in another and are not among its own strongest."""
    paths = paths_to_compare(found.strongest)
    requests = [
        ChosenPathsRequest(result.request.experiment, paths_left(result, paths), layer_norm, metric)
        for result in found.strongest
    ]
    _ask_ahead(bar, *(request for request in requests if request.paths))
    for number, request in enumerate(requests, start=1):
        say = _teller(bar, number, len(found.strongest))
        found.left.append(_asked(found, request, say) if request.paths else None)


def _ask_ahead(bar: st.delta_generator.DeltaGenerator, *requests: Request) -> None:
    """Have a cluster, where there is one, answer all `requests` at the same time."""
    for done, of in ahead(requests):
        bar.progress(done / of, text=f"{done} of {of} answers have come from the cluster")


def _teller(bar: st.delta_generator.DeltaGenerator, number: int, of: int) -> Callable[[str], None]:
    def say(what: str) -> None:
        bar.progress((number - 1) / of, text=f"Prompt {number} of {of}: {what}")

    return say


_CALLED: dict[type[Request], str] = {
    OverviewRequest: "both runs",
    NodeAttributionRequest: "attribution",
    StrongestPathsRequest: "its strongest paths",
    ChosenPathsRequest: "paths that lead in other prompts",
}


def _asked(found: SetResults, request: Request[R], say: Callable[[str], None]) -> R:
    """The result, computed and stored if it is not there yet."""
    known = stored(request)
    if known is None:
        say(_CALLED[type(request)])
        with on_behalf_of(visitor()):
            known = answer(request)
        found.from_store = False
    result_notes(known.result, known.note)
    return known.result


def _add(results: list[R], found: SetResults, request: Request[R], say: Callable[[str], None]) -> None:
    """The result beside those of the other prompts, or why this model has none."""
    called = _CALLED[type(request)]
    if called in found.refusals:
        return
    try:
        results.append(_asked(found, request, say))
    except UnsupportedModelError as error:
        found.refusals[called] = str(error)
