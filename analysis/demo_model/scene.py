"""Draws the people, places and things of one passage, keeping to the training side."""

import random

from analysis.demo_model.landmarks import CITIES
from analysis.demo_model.split import is_held_out, is_held_out_pair
from analysis.demo_model.templates import ARTICLES, GIVING
from analysis.demo_model.words import (
    ADJECTIVES,
    ANIMALS,
    DAYS,
    MONTHS,
    NAMES,
    NOUNS,
    NUMBER_WORDS,
    OBJECTS,
    PLACES,
)

MOST_NAMES = 6
"""A passage with this many people reuses them instead of adding more."""


class Scene:
    """What has been mentioned so far in a passage.

    Any two names of a scene, and any place and object of it, may meet in
    training: whatever a later sentence draws fits all that came before.
    """

    def __init__(self, rng: random.Random) -> None:
        """Start empty, drawing from `rng`."""
        self.rng = rng
        self._names: list[str] = []
        self._places: list[str] = []
        self._things: list[str] = []

    def names(self, count: int) -> list[str]:
        """`count` different people, some of them perhaps mentioned before."""
        chosen: list[str] = []
        while len(chosen) < count:
            pool = self._names if len(self._names) >= MOST_NAMES else NAMES
            name = self.rng.choice(pool)
            others = [other for other in self._names if other != name]
            if name in chosen or any(is_held_out_pair(name, other) for other in others):
                continue
            self._names = [*others, name]
            chosen.append(name)
        return chosen

    def place(self) -> str:
        """A place that may appear with the objects mentioned so far."""
        while True:
            place = self.rng.choice(PLACES)
            if not any(is_held_out("filler", place, thing) for thing in self._things):
                self._places.append(place)
                return place

    def thing(self) -> str:
        """An object that may appear with the places mentioned so far."""
        while True:
            thing = self.rng.choice(OBJECTS)
            if not any(is_held_out("filler", place, thing) for place in self._places):
                self._things.append(thing)
                return thing

    def fill(self, frame: str) -> str:
        """`frame` with every slot that is not a task's own given a word."""
        rng = self.rng
        draws = {
            "a": lambda: rng.choice(ARTICLES),
            "gave": lambda: rng.choice(GIVING),
            "place": self.place,
            "object": self.thing,
            "adjective": lambda: rng.choice(ADJECTIVES),
            "animal": lambda: rng.choice(ANIMALS),
            "noun": lambda: rng.choice(NOUNS),
            "name": lambda: self.names(1)[0],
            "city": lambda: rng.choice(CITIES),
            "day": lambda: rng.choice(DAYS),
            "month": lambda: rng.choice(MONTHS),
            "number": lambda: rng.choice(NUMBER_WORDS[1:]),
        }
        # "a" comes first because the article may itself ask for an adjective.
        for slot, draw in draws.items():
            if f"{{{slot}}}" in frame:
                frame = frame.replace(f"{{{slot}}}", draw())
        return frame

    def word_sequence(self, words: tuple[str, ...], length: int) -> list[str]:
        """`length` different words, no two content words adjacent that are held out so."""
        chosen = [self.rng.choice(words)]
        while len(chosen) < length:
            word = self.rng.choice(words)
            if word not in chosen and not is_held_out("sequence", chosen[-1], word):
                chosen.append(word)
        return chosen
