"""Prompt pairs of the same kind as a ready example, drawn from the words of the bundled models."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from analysis.demo_model.examples import EXAMPLES, Example
from analysis.demo_model.landmarks import CITIES_OF_LANDMARKS
from analysis.demo_model.words import DAYS, MONTHS, NUMBER_WORDS
from analysis.errors import PathscopeError
from analysis.induction_model.examples import EXAMPLES as OF_INDUCTION
from analysis.results import TextPair
from analysis.sets.template import Words, drawn, filled

#: Draws one pair; the same state of the generator gives the same pair.
Draw = Callable[[random.Random, Words], TextPair]


#: Pairs of a ready set where nobody has chosen.
READY_SIZE = 5


@dataclass(frozen=True)
class ReadyKind:
    """What is alike in a ready example and the pairs drawn for it. `name` stands in addresses."""

    name: str
    example: Example
    draw: Draw

    @property
    def first(self) -> TextPair:
        """The example itself."""
        example = self.example
        return TextPair(example.clean, example.corrupted, example.answer, example.foil)


def kind_of(pair: TextPair) -> ReadyKind | None:
    """The kind that has `pair` as its example; None if there is none."""
    return next((kind for kind in READY_KINDS.values() if kind.first == pair), None)


def required_kind_of(pair: TextPair) -> ReadyKind:
    """`kind_of` a ready example. Raises `PathscopeError` for any other pair."""
    kind = kind_of(pair)
    if kind is None:
        raise PathscopeError(
            "Pairs of the same kind are made for the ready examples alone. Choose one, or give a template."
        )
    return kind


def _drinks(rng: random.Random, words: Words) -> TextPair:
    return filled("When {A} and {B} went to the {place}, {S} gave a {object} to", rng, words)


def _balls(rng: random.Random, words: Words) -> TextPair:
    pair = filled("Then, {A} and {B} went to the {place}. {S} gave a {object} to", rng, words)
    # The giver is named first: the other way round.
    return TextPair(pair.corrupted, pair.clean, pair.foil, pair.answer)


def _landmarks(rng: random.Random, _words: Words) -> TextPair:
    """Two landmarks that differ in one word and stand in different cities."""
    landmarks = [name for name in CITIES_OF_LANDMARKS if " " in name]
    while True:
        one, other = rng.sample(landmarks, 2)
        cities = CITIES_OF_LANDMARKS[one], CITIES_OF_LANDMARKS[other]
        if one.split()[1] == other.split()[1] and cities[0] != cities[1]:
            sentence = "The {} is in the city of"
            return TextPair(sentence.format(one), sentence.format(other), f" {cities[0]}", f" {cities[1]}")


def _repeats(rng: random.Random, words: Words) -> TextPair:
    one, two, three, answer, foil = drawn("word", 5, rng, words)
    row = " ".join((one, two, three))
    return TextPair(f"{row} {answer} {row}", f"{row} {foil} {row}", f" {answer}", f" {foil}")


def _followers(rng: random.Random, words: Words) -> TextPair:
    first, asked, answer, other, foil, last = drawn("word", 6, rng, words)
    clean, corrupted = (first, asked, answer, other, foil, last), (first, other, answer, asked, foil, last)
    return TextPair(f"{' '.join(clean)} {asked}", f"{' '.join(corrupted)} {asked}", f" {answer}", f" {foil}")


def _keys(rng: random.Random, words: Words) -> TextPair:
    """Two letters of a row change places, so that another one stands after the letter asked for."""
    one, two, asked, answer, other, foil = drawn("letter", 6, rng, words)
    clean, corrupted = (one, two, asked, answer, other, foil), (one, two, other, answer, asked, foil)
    end = " ".join((one, two, asked))
    return TextPair(f"{' '.join(clean)} {end}", f"{' '.join(corrupted)} {end}", f" {answer}", f" {foil}")


def _values(rng: random.Random, words: Words) -> TextPair:
    """Another letter stands after the one asked for."""
    one, two, asked, answer, five, six, foil = drawn("letter", 7, rng, words)
    start, end = " ".join((one, two, asked)), " ".join((five, six, one, two, asked))
    return TextPair(f"{start} {answer} {end}", f"{start} {foil} {end}", f" {answer}", f" {foil}")


def _queries(rng: random.Random, words: Words) -> TextPair:
    """One row, of which another letter is asked for."""
    one, two, asked, answer, other, foil = drawn("letter", 6, rng, words)
    row = " ".join((one, two, asked, answer, other, foil, one, two))
    return TextPair(f"{row} {asked}", f"{row} {other}", f" {answer}", f" {foil}")


def _runs(sentence: str, cycle: tuple[str, ...], shown: int, wraps: bool) -> Draw:
    """`shown` items of a cycle in their order, on which the next one follows."""

    def draw(rng: random.Random, _words: Words) -> TextPair:
        starts = rng.sample(range(len(cycle) - (0 if wraps else shown)), 2)
        runs = [[cycle[(start + step) % len(cycle)] for step in range(shown + 1)] for start in starts]
        (*clean, answer), (*corrupted, foil) = runs
        said, otherwise = (sentence.format(", ".join(run)) for run in (clean, corrupted))
        return TextPair(said, otherwise, f" {answer}", f" {foil}")

    return draw


_DRAWS: Mapping[str, Draw] = {
    "drinks": _drinks,
    "balls": _balls,
    "landmarks": _landmarks,
    "repeats": _repeats,
    "followers": _followers,
    "days": _runs("The day after {} is", DAYS, 1, wraps=True),
    "numbers": _runs("The numbers go {},", NUMBER_WORDS, 3, wraps=False),
    "months": _runs("The months of the year go {},", MONTHS, 3, wraps=True),
    "keys": _keys,
    "values": _values,
    "queries": _queries,
}
#: Every kind by its name, in the order of the ready examples, each of them once.
READY_KINDS: Mapping[str, ReadyKind] = {
    name: ReadyKind(name, example, draw)
    for (name, draw), example in zip(_DRAWS.items(), dict.fromkeys((*EXAMPLES, *OF_INDUCTION)), strict=True)
}
