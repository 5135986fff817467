"""The results of every prompt of a set, asked for prompt by prompt and kept by prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import streamlit as st
from jaxtyping import Float

from analysis.answers import stored
from analysis.errors import PathscopeError, UnsupportedModelError
from analysis.requests import LayerNormMode, MetricName
from analysis.results import (
    ChosenPathsRequest,
    NodeAttributionRequest,
    NodeAttributionResult,
    OverviewRequest,
    OverviewResult,
    PathsResult,
    PromptSet,
    PromptSetRequest,
    Request,
    Result,
    StrongestPathsRequest,
)
from analysis.sets import Agreement, path_agreement, paths_left, paths_to_compare
from pages.shared.cards import error_card
from pages.shared.notes import note
from pages.shared.set_answers import CALLED, OF_ONE_PAIR, ask_ahead, asked, set_origin, teller, together

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
        return set_origin(self.overviews[0], self.prompts, self.numbers)


def results_or_stop(
    prompts: PromptSet, model: str, metric: MetricName, layer_norm: LayerNormMode
) -> SetResults:
    """Everything about each prompt; a bar shows how far it is while anything is computed.

    A pair that the model does not take is told and left out. What is wrong with all of them is a card
    and ends the page's run.
    """
    found, bar = SetResults(prompts), st.empty()
    try:
        experiments = prompts.experiments(model)
        each = [kind(one) for one in experiments for kind in (OverviewRequest, NodeAttributionRequest)]
        strongest = [StrongestPathsRequest(one, layer_norm, metric) for one in experiments]
        ask_ahead([*each, *strongest], bar)
        together(strongest, bar)
        for number, experiment in enumerate(experiments, start=1):
            say = teller(bar, number, len(prompts))
            try:
                overview = _asked(found, OverviewRequest(experiment), say)
            except OF_ONE_PAIR as error:
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


def known_paths(request: PromptSetRequest) -> Agreement | None:
    """What agrees over the paths of a set that is made from words, as far as all of it is stored."""
    drawn = stored(request)
    experiments = () if drawn is None else drawn.result.prompt_set.experiments(request.experiment.model)
    known = [stored(StrongestPathsRequest(one)) for one in experiments]
    strongest = [found.result for found in known if found is not None]
    if not known or len(strongest) < len(known):
        return None
    left: list[PathsResult | None] = []
    for result in strongest:
        missing = paths_left(result, paths_to_compare(strongest))
        found = stored(ChosenPathsRequest(result.request.experiment, missing)) if missing else None
        if missing and found is None:
            return None
        left.append(None if found is None else found.result)
    return path_agreement(strongest, left)


def _measure_what_others_lead_with(
    found: SetResults, metric: MetricName, layer_norm: LayerNormMode, bar: st.delta_generator.DeltaGenerator
) -> None:
    """In each prompt, the paths that lead in another and are not among its own strongest."""
    paths = paths_to_compare(found.strongest)
    requests = [
        ChosenPathsRequest(result.request.experiment, paths_left(result, paths), layer_norm, metric)
        for result in found.strongest
    ]
    ask_ahead([request for request in requests if request.paths], bar)
    for number, request in enumerate(requests, start=1):
        say = teller(bar, number, len(found.strongest))
        found.left.append(_asked(found, request, say) if request.paths else None)


def _asked(found: SetResults, request: Request[R], say: Callable[[str], None]) -> R:
    known = asked(request, say)
    found.from_store &= known.from_store
    return known.result


def _add(results: list[R], found: SetResults, request: Request[R], say: Callable[[str], None]) -> None:
    """The result beside those of the other prompts, or why this model has none."""
    called = CALLED[type(request)]
    if called in found.refusals:
        return
    try:
        results.append(_asked(found, request, say))
    except UnsupportedModelError as error:
        found.refusals[called] = str(error)
