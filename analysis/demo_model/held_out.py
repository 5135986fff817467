"""Prompts of the test side: known words in combinations that training never showed."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations

from analysis.demo_model.landmarks import CITIES, CITIES_OF_LANDMARKS
from analysis.demo_model.split import (
    held_out_facts,
    held_out_successors,
    is_held_out,
    is_held_out_pair,
)
from analysis.demo_model.templates import ARTICLES, GIVING, IOI_TEMPLATES
from analysis.demo_model.words import (
    ADJECTIVES,
    CONTENT_WORDS,
    NAMES,
    NOUNS,
    OBJECTS,
    PLACES,
)

CONTEXTS: tuple[str, ...] = ("", "It was a quiet day. ", "Everyone was happy.\n")
"""What stands before a fact or a successor: each is asked for in all of them."""


@dataclass(frozen=True)
class Prompt:
    """A text, its right continuation and the most tempting wrong one.

    `answer` and `foil` begin with a space, as the tokens after `text` do.
    """

    text: str
    answer: str
    foil: str


def ioi_prompts(seed: int, count: int) -> list[Prompt]:
    """`count` prompts over all templates, both name orders and both speakers.

    Each has a held-out pair of names and a held-out place and object; the foil
    is the person who acts.
    """
    rng = random.Random(seed)
    pairs = [pair for pair in combinations(NAMES, 2) if is_held_out_pair(*pair)]
    fillers = [(p, o) for p in PLACES for o in OBJECTS if is_held_out("filler", p, o)]
    prompts = []
    for index in range(count):
        template = IOI_TEMPLATES[index % len(IOI_TEMPLATES)]
        first, second = rng.sample(rng.choice(pairs), 2)
        subject, answer = rng.sample((first, second), 2)
        place, thing = rng.choice(fillers)
        article = rng.choice(ARTICLES).format(adjective=rng.choice(ADJECTIVES), noun=rng.choice(NOUNS))
        text = template.format(
            A=first, B=second, S=subject, place=place, object=thing, a=article,
            gave=rng.choice(GIVING),
        )  # fmt: skip
        prompts.append(Prompt(text, f" {answer}", f" {subject}"))
    return prompts


def fact_prompts(seed: int) -> list[Prompt]:
    """Every held-out landmark and phrasing in every context; the foil is some other city."""
    rng = random.Random(seed)
    prompts = []
    for text, landmark in held_out_facts():
        city = CITIES_OF_LANDMARKS[landmark]
        foil = rng.choice([other for other in CITIES if other != city])
        prompts.append(Prompt(text, f" {city}", f" {foil}"))
    return _in_contexts(prompts)


def successor_prompts() -> list[Prompt]:
    """Every held-out item and phrasing in every context; the foil repeats the last item shown."""
    return _in_contexts(
        Prompt(text, f" {answer}", f" {last}") for text, answer, last in held_out_successors()
    )


def _in_contexts(prompts: Iterable[Prompt]) -> list[Prompt]:
    return [replace(prompt, text=context + prompt.text) for prompt in prompts for context in CONTEXTS]


def induction_sequences(seed: int, count: int, period: int = 8) -> list[tuple[str, ...]]:
    """`count` sequences of `period` words, every neighbouring two of them held out."""
    rng = random.Random(seed)
    sequences: list[tuple[str, ...]] = []
    while len(sequences) < count:
        words = [rng.choice(CONTENT_WORDS)]
        while len(words) < period:
            followers = [
                word
                for word in CONTENT_WORDS
                if word not in words and is_held_out("sequence", words[-1], word)
            ]
            words.append(rng.choice(followers))
        sequences.append(tuple(words))
    return sequences
