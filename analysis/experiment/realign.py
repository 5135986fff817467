"""The nearest changes that give two prompts the same number of tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from itertools import islice

from analysis.errors import Remedy
from analysis.requests import Experiment

#: Names that nearly every tokenizer knows as one token.
_NAMES = ("Mary", "John", "Tom", "James", "Paul", "Mark", "David", "Kate", "Anna", "Peter")

_MOST = 3


def nearest_fixes(experiment: Experiment, length: Callable[[str], int]) -> list[Remedy]:
    """Up to three remedies for prompts of unequal `length`, each tried and found to work.

    White space is looked at first, since a space too many at an end is the most frequent cause;
    then the words in which the prompts differ, for each of which a name of fitting length is put.
    """
    goals = {"clean": length(experiment.corrupted), "corrupted": length(experiment.clean)}
    fitting = (
        Remedy(label, field=field, value=text)
        for label, field, text in _candidates(experiment)
        if text.strip() and length(text) == goals[field]
    )
    distinct: dict[tuple[str, str], Remedy] = {}
    for remedy in islice(fitting, 4 * _MOST):
        distinct.setdefault((remedy.field, remedy.value), remedy)
    return list(distinct.values())[:_MOST]


def _candidates(experiment: Experiment) -> Iterator[tuple[str, str, str]]:
    for field in ("corrupted", "clean"):
        text: str = getattr(experiment, field)
        for label, changed in _respaced(text):
            if changed != text:
                yield f"{label} of the {field} prompt", field, changed
    for field, other in (("corrupted", "clean"), ("clean", "corrupted")):
        yield from _reworded(experiment, field, getattr(experiment, other))


def _respaced(text: str) -> Iterator[tuple[str, str]]:
    yield "Remove the space at the end", text.rstrip()
    yield "Remove the space at the start", text.lstrip()
    yield "Remove the spaces around the text", text.strip()
    yield "Make every space a single one", " ".join(text.split())
    yield "Put a space at the start", f" {text.lstrip()}"


def _reworded(experiment: Experiment, field: str, other: str) -> Iterator[tuple[str, str, str]]:
    """`field` without a stretch that `other` lacks, or with another name for one that differs."""
    text: str = getattr(experiment, field)
    words, partners = re.findall(r"\w+|\W+", text), re.findall(r"\w+|\W+", other)
    answers = [name for name in (experiment.foil.strip(), experiment.answer.strip()) if name.istitle()]
    for kind, start, end, _, _ in SequenceMatcher(None, words, partners, autojunk=False).get_opcodes():
        stretch = "".join(words[start:end]).strip()
        before, after = "".join(words[:start]), "".join(words[end:])
        if kind == "delete" and before + after != other:
            yield f"Remove {_shortened(stretch)} from the {field} prompt", field, before + after
        if kind == "replace" and words[start].istitle():
            for name in (*answers, *(name for name in _NAMES if name not in words)):
                if before + name + after != other:
                    label = f"Write {name} for {_shortened(stretch)} in the {field} prompt"
                    yield label, field, before + name + after


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
