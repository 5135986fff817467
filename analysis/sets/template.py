"""Prompt pairs from a sentence with slots, filled from lists of words."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

from analysis.demo_model.landmarks import CITIES
from analysis.demo_model.words import (
    ADJECTIVES,
    ANIMALS,
    CONTENT_WORDS,
    DAYS,
    LETTERS,
    MONTHS,
    NAMES,
    NOUNS,
    NUMBER_WORDS,
    OBJECTS,
    PLACES,
)
from analysis.errors import PathscopeError
from analysis.labels import printable
from analysis.results import TextPair

#: The words of a slot, each one token with a space before it.
Words = Mapping[str, tuple[str, ...]]

_LISTS: Words = {
    "name": NAMES,
    "place": PLACES,
    "object": OBJECTS,
    "adjective": ADJECTIVES,
    "animal": ANIMALS,
    "noun": NOUNS,
    "city": CITIES,
    "day": DAYS,
    "month": MONTHS,
    "number": NUMBER_WORDS,
    "letter": LETTERS,
    "word": CONTENT_WORDS,
}
#: Two people, and which of them acts: the second named in the clean prompt, the first in the corrupted one.
PEOPLE = ("A", "B", "S")
#: Every slot that a template may have.
TEMPLATE_SLOTS = (*PEOPLE, *_LISTS)
#: Characters of a template.
LONGEST_TEMPLATE = 500
_SLOT = re.compile(r"\{([^{}]*)\}")


def words_of_one_token(length: Callable[[str], int]) -> Words:
    """Every list, its words that are one token with a space before them; `length` counts tokens."""
    return {slot: tuple(word for word in words if length(f" {word}") == 1) for slot, words in _LISTS.items()}


def check_template(template: str) -> None:
    """Raise `PathscopeError` for a template that cannot be filled."""
    if len(template) > LONGEST_TEMPLATE:
        raise PathscopeError(
            f"The template has {len(template):,} characters, and at most {LONGEST_TEMPLATE} are read."
        )
    slots = _SLOT.findall(template)
    unknown = [slot for slot in slots if slot not in TEMPLATE_SLOTS]
    if unknown or re.search(r"[{}]", _SLOT.sub("", template)):
        what = f"There is no slot {{{printable(unknown[0], 40)}}}" if unknown else "A brace stands alone"
        raise PathscopeError(f"{what}. Slots are {', '.join(f'{{{slot}}}' for slot in TEMPLATE_SLOTS)}.")
    missing = [slot for slot in PEOPLE if slot not in slots]
    if missing:
        raise PathscopeError(
            f"The template has no {' and no '.join(f'{{{slot}}}' for slot in missing)}. {{A}} and {{B}} are "
            "two people and {S} is the one who acts: {B} in the clean prompt, where {A} is the answer, and "
            "{A} in the corrupted one."
        )


def drawn(slot: str, count: int, rng: random.Random, words: Words) -> list[str]:
    """`count` different words of a slot. Raises `PathscopeError` where the model has too few."""
    if len(words[slot]) < count:
        raise PathscopeError(
            f"Of the words for {{{slot}}} this model has {len(words[slot])} that are one token, and "
            f"{count} are needed. Write words of your own in place of the slot."
        )
    return rng.sample(words[slot], count)


def filled(template: str, rng: random.Random, words: Words) -> TextPair:
    """One pair: the same words in both prompts, but for who acts. Raises what `drawn` raises."""
    first, second, third = [*drawn("name", 3 if "{name}" in template else 2, rng, words), ""][:3]
    slots = dict.fromkeys(slot for slot in _SLOT.findall(template) if slot not in (*PEOPLE, "name"))
    fillings = {"A": first, "B": second, "name": third}
    fillings |= {slot: drawn(slot, 1, rng, words)[0] for slot in slots}
    clean, corrupted = (_fill(template, {**fillings, "S": actor}) for actor in (second, first))
    return TextPair(clean, corrupted, f" {first}", f" {second}")


def _fill(template: str, fillings: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda found: fillings[found[1]], template)
