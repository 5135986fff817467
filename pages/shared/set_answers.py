"""A question, or a few, asked of every prompt of a set, and kept by prompt."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from analysis.answers import Answer, ahead, answer, answer_together, on_behalf_of, stored
from analysis.errors import AnswerError, MetricError, PathscopeError, PromptError
from analysis.labels import counted
from analysis.requests import Experiment
from analysis.results import (
    ChosenPathsRequest,
    EdgeSetsRequest,
    NodeAttributionRequest,
    OverviewRequest,
    PromptSet,
    PromptSetRequest,
    Request,
    Result,
    SanityRequest,
    StrongestPathsRequest,
)
from analysis.sets import RULE, SEED
from pages.shared.disclosure import without_places
from pages.shared.keys import Key
from pages.shared.notes import result_notes
from pages.shared.visitor import visitor

R = TypeVar("R", bound=Result)
T = TypeVar("T")

#: What is wrong with one pair alone: it is told and left out, and the others go on.
OF_ONE_PAIR = (PromptError, AnswerError, MetricError)
#: What is computed of a prompt, as a bar calls it.
CALLED: dict[type[Request], str] = {
    PromptSetRequest: "drawing pairs",
    OverviewRequest: "both runs",
    NodeAttributionRequest: "attribution",
    StrongestPathsRequest: "its strongest paths",
    ChosenPathsRequest: "paths that lead in other prompts",
    EdgeSetsRequest: "the paths together",
    SanityRequest: "the identities",
}


class Ask(Protocol):
    """The result of a question."""

    def __call__(self, request: Request[R]) -> R:
        """The result of `request`."""


@dataclass
class OverPrompts(Generic[T]):
    """What was found of each prompt that the model takes; `numbers` are their places in the set, from 1.

    `left_out` says why of each other prompt; `first` is the first prompt's result.
    """

    prompts: PromptSet
    numbers: list[int] = field(default_factory=list)
    experiments: list[Experiment] = field(default_factory=list)
    found: list[T] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    first: Result | None = None

    def origin(self) -> dict[str, str]:
        """Where the numbers of the first prompt come from, the pairs, and how they were brought together."""
        assert self.first is not None
        return set_origin(self.first, self.prompts, self.numbers)


def set_origin(first: Result, prompts: PromptSet, numbers: list[int]) -> dict[str, str]:
    """The origin of the first prompt's result, the pairs, and how results were brought together."""
    return first.origin() | {
        "prompt set": prompts.digest,
        "prompts": json.dumps([prompts.pairs[number - 1] for number in numbers]),
        "statistics": f"Robust: {RULE} Bootstrap over prompts, percentile, seed {SEED}.",
    }


def asked(request: Request[R], say: Callable[[str], None]) -> Answer[R]:
    """The result, computed and stored if it is not there yet; `say` is told what is computed."""
    known = stored(request)
    if known is None:
        say(CALLED[type(request)])
        with on_behalf_of(visitor()):
            known = answer(request)
    result_notes(known.result, known.note)
    return known


def teller(bar: DeltaGenerator, number: int, of: int) -> Callable[[str], None]:
    """What shows in `bar` which of how many prompts is being computed."""

    def say(what: str) -> None:
        bar.progress((number - 1) / of, text=f"Prompt {number} of {of}: {what}")

    return say


def over_prompts(
    prompts: PromptSet,
    model: str,
    of_one: Callable[[Ask, Experiment], T],
    wanted: Hashable,
) -> OverPrompts[T] | None:
    """What `of_one` finds of every prompt by what it asks; None as long as nobody has it computed.

    What is stored is shown at once; for the rest there is a button. Once it has been pressed for the
    `wanted`, whatever is asked of the same is computed without another click. What is wrong with all pairs is
    told.
    """
    known = _of_every(prompts, model, lambda _: _from_store, of_one)
    if known is None:
        if st.session_state.get(Key.SET_OVER) != wanted:
            st.button(
                f"Measure it in all {len(prompts)} prompts",
                key=f"{Key.SET_OVER}_button",
                icon=":material/library_books:",
                on_click=want,
                args=(wanted,),
            )
            return None
        known = _computed(prompts, model, of_one)
    for sentence in () if known is None else known.left_out:
        st.text(without_places(sentence))
    return known if known is not None and known.found else None


def want(wanted: Hashable) -> None:
    """Have what is asked of a set computed from now on, as long as it is the `wanted`."""
    st.session_state[Key.SET_OVER] = wanted


def ask_ahead(requests: Sequence[Request], bar: DeltaGenerator) -> None:
    """Have a cluster, where there is one, answer all `requests` at the same time."""
    for done, of in ahead(requests):
        bar.progress(done / of, text=f"{done} of {of} answers have come from the cluster")


def together(requests: Sequence[Request], bar: DeltaGenerator) -> None:
    """Have what is missing of `requests`, which are alike but for their pairs, computed in batches."""
    alike = requests and requests[0].computed_together
    if alike and sum(stored(asked) is None for asked in requests) > 1:
        bar.progress(0.0, text=f"{counted(len(requests), 'prompt')} together: {CALLED[type(requests[0])]}")
    with on_behalf_of(visitor()):
        answer_together(requests)


class _NotStored(Exception):
    """What would have to be computed: the `request`."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.request = request


def _from_store(request: Request[R]) -> R:
    known = stored(request)
    if known is None:
        raise _NotStored(request)
    result_notes(known.result, known.note)
    return known.result


def _computed(
    prompts: PromptSet,
    model: str,
    of_one: Callable[[Ask, Experiment], T],
) -> OverPrompts[T] | None:
    bar = st.empty()

    def asker(number: int) -> Ask:
        def ask(request: Request[R]) -> R:
            return asked(request, teller(bar, number, len(prompts))).result

        return ask

    try:
        _ask_together(prompts, model, of_one, bar)
        return _of_every(prompts, model, asker, of_one)
    except PathscopeError as error:
        st.text(without_places(str(error)))
        return None
    finally:
        bar.empty()


def _ask_together(
    prompts: PromptSet, model: str, of_one: Callable[[Ask, Experiment], T], bar: DeltaGenerator
) -> None:
    """Have what `of_one` asks computed of all prompts together, and then what that leads it to ask."""
    seen: set[Request] = set()
    while new := [request for request in _missing(prompts, model, of_one) if request not in seen]:
        seen.update(new)
        ask_ahead(new, bar)
        for kind in dict.fromkeys(map(type, new)):
            together([request for request in new if type(request) is kind], bar)


def _missing(prompts: PromptSet, model: str, of_one: Callable[[Ask, Experiment], T]) -> Iterator[Request]:
    """The first question of each prompt that `of_one` asks and that is not stored."""
    for experiment in prompts.experiments(model):
        try:
            of_one(_from_store, experiment)
        except _NotStored as missing:
            yield missing.request
        except OF_ONE_PAIR:  # told when the prompt's turn comes
            continue


def _of_every(
    prompts: PromptSet, model: str, asker: Callable[[int], Ask], of_one: Callable[[Ask, Experiment], T]
) -> OverPrompts[T] | None:
    """None where something is not stored, and only that is asked for."""
    over: OverPrompts[T] = OverPrompts(prompts)
    for number, experiment in enumerate(prompts.experiments(model), start=1):
        ask = asker(number)

        def asking(request: Request[R], ask: Ask = ask) -> R:
            result = ask(request)
            over.first = over.first or result
            return result

        try:
            found = of_one(asking, experiment)
        except _NotStored:
            return None
        except OF_ONE_PAIR as error:
            over.left_out.append(f"Prompt {number} is left out: {error}")
            continue
        over.numbers.append(number)
        over.experiments.append(experiment)
        over.found.append(found)
    return over


def told_over(n_prompts: int) -> str:
    """How a sentence about a set begins.

    >>> told_over(5)
    'Over 5 prompts'
    """
    return f"Over {counted(n_prompts, 'prompt')}"
