"""Other corrupted prompts for a clean one, each of the same number of tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random

from analysis.demo_model.landmarks import CITIES_OF_LANDMARKS
from analysis.demo_model.words import CONTENT_WORDS, DAYS, LETTERS, MONTHS, NAMES, NUMBER_WORDS
from analysis.requests import Experiment
from analysis.results import AlternativeName

#: A corrupted prompt and its foil.
_Found = tuple[str, str]

#: Lists whose order is what a prompt is about; the others' words may stand for one another.
_ORDERED = (DAYS, MONTHS, NUMBER_WORDS)
_DRAWS = 30
_WORD = re.compile(r"\w+")


def alternatives(
    experiment: Experiment, length: Callable[[str], int]
) -> tuple[tuple[AlternativeName, str, str], ...]:
    """`(name, corrupted prompt, foil)` for each way that leads to a prompt as long as the clean one.

    `length` counts tokens. What is drawn by lot follows from the four texts alone, so that a visitor who
    takes one is offered others, and a reload offers the same.
    """
    clean, goal = experiment.clean, length(experiment.clean)
    typed = repr((clean, experiment.corrupted, experiment.answer, experiment.foil))
    lot = Random(sha256(typed.encode("utf-8", "surrogatepass")).digest())
    ways: tuple[tuple[AlternativeName, Iterator[_Found]], ...] = (
        ("swapped_names", _swapped_names(experiment)),
        ("another_example", _other_examples(experiment, lot)),
        ("random_words", _random_words(experiment, lot)),
    )
    found = []
    for name, candidates in ways:
        for corrupted, foil in candidates:
            # Names can be swapped in one way only, so that one is told though it is taken already.
            known = (clean,) if name == "swapped_names" else (clean, experiment.corrupted)
            if corrupted not in known and foil != experiment.answer and length(corrupted) == goal:
                found.append((name, corrupted, foil))
                break
    return tuple(found)


def _swapped_names(experiment: Experiment) -> Iterator[_Found]:
    """The last name that is repeated gives way to the other; where none is, two names change places."""
    known = {*NAMES, *(word for word in _answers(experiment) if word.istitle())}
    names = [word for word in _WORD.findall(experiment.clean) if word in known]
    repeated = [name for name in names if names.count(name) > 1]
    if len(set(names)) < 2:
        return
    if repeated:
        last = repeated[-1]
        other = next(name for name in names if name != last)
        place = [found for found in _WORD.finditer(experiment.clean) if found[0] == last][-1]
        swapped = experiment.clean[: place.start()] + other + experiment.clean[place.end() :]
    else:
        last, other = [*dict.fromkeys(names)][:2]
        swapped = _replaced(experiment.clean, {last: other, other: last})
    foil = _replaced(experiment.answer, {last: other, other: last})
    yield swapped, experiment.foil if foil == experiment.answer else foil


def _other_examples(experiment: Experiment, lot: Random) -> Iterator[_Found]:
    """The same task with other words: another landmark and its city, or other words of the answer's kind."""
    answer = experiment.answer.strip()
    for landmark, city in CITIES_OF_LANDMARKS.items():
        if landmark in experiment.clean and city == answer:
            others = [(name, where) for name, where in CITIES_OF_LANDMARKS.items() if where != city]
            lot.shuffle(others)
            for other, where in others:
                corrupted = experiment.clean.replace(landmark, other)
                yield corrupted, experiment.answer.replace(city, where)
            return
    words = next((kind for kind in (*_ORDERED, NAMES, CONTENT_WORDS, LETTERS) if answer in kind), ())
    used = [word for word in dict.fromkeys(_WORD.findall(experiment.clean)) if word in words]
    if used:
        for exchanged in _exchanges([*dict.fromkeys([*used, answer])], words, lot):
            yield _replaced(experiment.clean, exchanged), _replaced(experiment.answer, exchanged)


def _exchanges(used: list[str], words: tuple[str, ...], lot: Random) -> Iterator[dict[str, str]]:
    """Other `words` for those `used`: further on by the same number of steps where their order matters."""
    if words in _ORDERED:
        places = [words.index(word) for word in used]
        steps = [*range(-min(places), 0), *range(1, len(words) - max(places))]
        if words != NUMBER_WORDS:  # what goes round has no end
            steps = [*range(1, len(words))]
        lot.shuffle(steps)
        for step in steps:
            yield {word: words[(place + step) % len(words)] for word, place in zip(used, places, strict=True)}
        return
    fresh = [word for word in words if word not in used]
    for _ in range(_DRAWS if len(fresh) >= len(used) else 0):
        yield dict(zip(used, lot.sample(fresh, len(used)), strict=True))


def _random_words(experiment: Experiment, lot: Random) -> Iterator[_Found]:
    """Words drawn by lot where the prompts differ; where they are no pair, in place of the longest word."""
    clean = [*_WORD.finditer(experiment.clean)]
    corrupted = _WORD.findall(experiment.corrupted)
    if not clean:
        return
    places = [place for place, other in zip(clean, corrupted, strict=False) if place[0] != other]
    if len(clean) != len(corrupted) or not places:
        places = [max(clean, key=lambda place: place.end() - place.start())]
    fresh = [word for word in CONTENT_WORDS if word not in {place[0] for place in clean}]
    for draw in range(3 * _DRAWS):
        text = experiment.clean
        for place in reversed(places):
            # A long word of several tokens gives way to several words.
            drawn = " ".join(lot.sample(fresh, 1 + draw // _DRAWS))
            text = text[: place.start()] + drawn + text[place.end() :]
        yield text, experiment.foil


def _answers(experiment: Experiment) -> tuple[str, str]:
    return experiment.answer.strip(), experiment.foil.strip()


def _replaced(text: str, exchanged: dict[str, str]) -> str:
    """`text` with every word that `exchanged` names put in another's place, all at once."""
    return _WORD.sub(lambda found: exchanged.get(found[0], found[0]), text)
