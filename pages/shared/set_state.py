"""Which prompt set is at hand, as one word of the session and of the address.

A ready set is its kind and its size, ``drinks-5``; one from a template is its size and the template,
``5:{A} and {B} ...``; `ALONE` is the pair of the sidebar; any other set is its pairs as JSON. Without a
word it is the ready set of the example at hand, else the pair alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import streamlit as st

from analysis.errors import PathscopeError
from analysis.policy import policy
from analysis.requests import Experiment
from analysis.results import MOST_PAIRS, PromptSet, PromptSetRequest, PromptSetResult, TextPair
from analysis.sets import LONGEST_TEMPLATE, READY_KINDS, READY_SIZE, fault_of_pair, kind_of
from pages.shared.keys import Key

#: The word for the sidebar's pair by itself.
ALONE = "pair"


def read_set(word: str) -> str | None:
    """`word` where it says which set; None where it says none."""
    known = (read(word) is not None for read in (ready_set, template_set, own_set))
    return word if word == ALONE or any(known) else None


def ready_set(word: str) -> tuple[str, int] | None:
    """Kind and size of a ready set.

    >>> ready_set("drinks-5"), ready_set("drinks-99"), ready_set("banana-5")
    (('drinks', 5), None, None)
    """
    found = re.fullmatch(r"([a-z]+)-([0-9]{1,2})", word)
    known = found and found[1] in READY_KINDS and 1 <= int(found[2]) <= MOST_PAIRS
    return (found[1], int(found[2])) if found and known else None


def template_set(word: str) -> tuple[str, int] | None:
    """Template and size of a set that is drawn from one; whether it can be filled is told when it is.

    >>> template_set("5:{A} and {B}"), template_set("0:{A} and {B}")
    (('{A} and {B}', 5), None)
    """
    found = re.fullmatch(rf"([0-9]{{1,2}}):(.{{1,{LONGEST_TEMPLATE}}})", word, re.DOTALL)
    return (found[2], int(found[1])) if found and 1 <= int(found[1]) <= MOST_PAIRS else None


def own_set(word: str) -> PromptSet | None:
    """The set whose pairs stand in `word`; None where it holds anything else."""
    try:
        pairs = [TextPair(*row) for row in json.loads(word)]
        texts = all(isinstance(text, str) for pair in pairs for text in pair)
        return PromptSet(tuple(pairs)) if texts and not any(map(fault_of_pair, pairs)) else None
    except (ValueError, TypeError, RecursionError, PathscopeError):
        return None


def set_of(
    word: str, experiment: Experiment, ask: Callable[[PromptSetRequest], PromptSetResult]
) -> PromptSet:
    """The set that `word` says; pairs that are made from words are those that `ask` answers.

    Raises `PathscopeError` where the policy does not allow so many pairs.
    """
    own, ready, template = own_set(word), ready_set(word), template_set(word)
    policy().check_pairs(len(own) if own is not None else (ready or template or ("", 1))[1])
    if own is not None:
        return own
    if ready is not None:
        first = READY_KINDS[ready[0]].first.on(experiment.model)
        return ask(PromptSetRequest(first, None, ready[1])).prompt_set
    if template is not None:
        return ask(PromptSetRequest(experiment, *template)).prompt_set
    return PromptSet((pair_of(experiment),))


def word_of(prompts: PromptSet) -> str:
    """The word that holds the very pairs of a set."""
    return json.dumps(prompts.pairs, ensure_ascii=False, separators=(",", ":"))


def pair_of(experiment: Experiment) -> TextPair:
    """What an experiment holds beside its model."""
    return TextPair(experiment.clean, experiment.corrupted, experiment.answer, experiment.foil)


def word_at_hand(experiment: Experiment) -> str:
    """The word of the set that is chosen, or follows from the experiment where none is."""
    word: str | None = st.session_state.get(Key.SET)
    if word is not None:
        return word
    kind = kind_of(pair_of(experiment))
    return ALONE if kind is None else f"{kind.name}-{READY_SIZE}"
