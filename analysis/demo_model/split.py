"""What training never sees: the line between training and held-out prompts.

Held out are combinations, never single words: pairs of names, pairs of place
and object, a landmark in one of its phrasings, a successor in one of its
phrasings, and one content word right after another. A held-out prompt is thus
made of known parts that have never been seen together. Membership comes from a
digest of the parts, so that it depends on no random state and no word order
in the lists.
"""

import re
from functools import cache
from hashlib import blake2b
from itertools import combinations, pairwise

from analysis.demo_model.landmarks import LANDMARKS
from analysis.demo_model.templates import FACT_FRAMES, SUCCESSOR_FRAMES
from analysis.demo_model.words import (
    CONTENT_WORDS,
    DAYS,
    DIGITS,
    MONTHS,
    NAMES,
    NUMBER_WORDS,
    OBJECTS,
    PLACES,
)

ONE_IN = 8
"""One combination in this many is held out."""

# The prompts that everyone types first are kept out of training by name.
ALWAYS_HELD_OUT = frozenset(
    {
        ("names", "John", "Mary"),
        ("filler", "store", "drink"),
        ("fact", FACT_FRAMES[0], "Eiffel Tower"),
    }
)

CYCLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("day", DAYS),
    ("month", MONTHS),
    ("number", NUMBER_WORDS),
    ("number", DIGITS),
)
"""Ordered items by kind. Days and months wrap round; numbers end."""

_WORD = re.compile(r"[A-Za-z]+")
_NAMES, _PLACES, _OBJECTS, _CONTENT = map(frozenset, (NAMES, PLACES, OBJECTS, CONTENT_WORDS))


@cache
def is_held_out(kind: str, *parts: str) -> bool:
    """Whether this combination belongs to the test side.

    >>> is_held_out("filler", "store", "drink")
    True
    """
    key = (kind, *parts)
    digest = blake2b("|".join(key).encode(), digest_size=4).digest()
    return key in ALWAYS_HELD_OUT or int.from_bytes(digest) % ONE_IN == 0


def is_held_out_pair(first: str, second: str) -> bool:
    """Whether two names may meet only in held-out prompts, in either order."""
    return is_held_out("names", *sorted((first, second)))


def item_window(cycle: tuple[str, ...], index: int) -> dict[str, str]:
    """The item at `index` as ``x`` and its two followers as ``y`` and ``z``, wrapping round."""
    return {slot: cycle[(index + step) % len(cycle)] for step, slot in enumerate("xyz")}


@cache
def held_out_facts() -> tuple[tuple[str, str], ...]:
    """All held-out (prompt, landmark)."""
    return tuple(
        (frame.format(x=landmark), landmark)
        for frame in FACT_FRAMES
        for landmark in LANDMARKS
        if is_held_out("fact", frame, landmark)
    )


@cache
def held_out_successors() -> tuple[tuple[str, str, str], ...]:
    """All held-out (prompt, answer, last item shown).

    The last item shown is what a model that copies would repeat, hence the foil.
    """
    prompts = []
    for kind, cycle in CYCLES:
        for frame in SUCCESSOR_FRAMES[kind]:
            shown = 1 + max("xyz".index(slot) for slot in "xyz" if f"{{{slot}}}" in frame)
            # Numbers have no successor past the end of their list.
            usable = len(cycle) - (shown if kind == "number" else 0)
            for index in range(usable):
                if is_held_out("successor", frame, cycle[index]):
                    answer = cycle[(index + shown) % len(cycle)]
                    last = cycle[(index + shown - 1) % len(cycle)]
                    prompts.append((frame.format(**item_window(cycle, index)), answer, last))
    return tuple(prompts)


@cache
def _held_out_texts() -> re.Pattern[str]:
    texts = [text for text, *_ in (*held_out_facts(), *held_out_successors())]
    return re.compile("|".join(rf"\b{re.escape(text.lower())}(?!\w)" for text in texts))


def leaks(text: str) -> str | None:
    """What held-out combination `text` contains, in words, or None if it has none.

    Training text must give None. The check reads the finished text and shares no
    code with the generators, so a slip in a generator cannot hide itself.
    """
    words = _WORD.findall(text)
    present = set(words)
    for pair in combinations(sorted(present & _NAMES), 2):
        if is_held_out("names", *pair):
            return f"names {pair[0]} and {pair[1]}"
    objects = present & _OBJECTS
    for place in present & _PLACES:
        for thing in objects:
            if is_held_out("filler", place, thing):
                return f"place {place} and object {thing}"
    for before, after in pairwise(words):
        if before in _CONTENT and after in _CONTENT and is_held_out("sequence", before, after):
            return f"words {before} and {after} in sequence"
    prompt = _held_out_texts().search(text.lower())
    return f"prompt {prompt.group()!r}" if prompt else None
