"""Rows of random words said over and over, from a vocabulary that grows as training goes on.

Looking up what followed a word last time takes two heads that agree on how a word is written
down: one that notes the word before, one that searches those notes. With hundreds of words from
the start neither can find the other, and a model settles for guessing some earlier word. With
two dozen words they agree within minutes, and each word added after that only widens what they
agree on.
"""

import random
from collections.abc import Iterable, Iterator

from analysis.demo_model.corpus import ANSWER, NOISE, Passage
from analysis.demo_model.split import leaks
from analysis.demo_model.words import COMMON_WORDS, CONTENT_WORDS, NAMES

SMALLEST = 26
"""Words in the vocabulary at first."""
GROWS_FROM, GROWS_UNTIL = 200, 850
"""The steps between which it grows by an equal factor each, from `SMALLEST` to all words."""
PERIODS = (3, 4, 5, 6, 7, 8, 8, 10, 12, 15)
LONGEST_PREFIX = 6
"""Unrelated words before the first repeat; no place in the row then tells what comes next."""
CONTENT_SHARE = 0.4
"""Of the rows drawn from the full vocabulary, those of content words alone."""


def vocabulary(seed: int) -> tuple[str, ...]:
    """All words that rows are made of, in the order in which they come into use."""
    words = [word for word in dict.fromkeys(CONTENT_WORDS + COMMON_WORDS + NAMES) if word.isalpha()]
    random.Random(seed).shuffle(words)
    return tuple(words)


def words_in_use(step: int, of: int) -> int:
    """How many of the words step number `step` draws from.

    >>> words_in_use(0, of=700), words_in_use(525, of=700), words_in_use(850, of=700)
    (26, 135, 700)
    """
    done = (step - GROWS_FROM) / (GROWS_UNTIL - GROWS_FROM)
    return round(SMALLEST * (of / SMALLEST) ** min(1.0, max(0.0, done)))


def make_row(rng: random.Random, words: tuple[str, ...], length: int) -> Passage:
    """`length` of `words`: a few at random, then some that repeat until the end; nothing leaks."""
    period, before = rng.choice(PERIODS), rng.randint(0, LONGEST_PREFIX)
    unpredictable = before + period + 1
    while True:
        items = rng.sample(words, period)
        row = (rng.sample(words, before) + items * (length // period + 1))[:length]
        if leaks(" ".join(row)) is None:
            break
    first = (" ".join(row[:unpredictable]), NOISE)
    return Passage((first, *((f" {word}", ANSWER) for word in row[unpredictable:])))


def repeated_rows(seed: int, rows_per_step: Iterable[int], length: int) -> Iterator[list[Passage]]:
    """For one step of training after another, its passages of `length` words each."""
    rng = random.Random(seed)
    words = vocabulary(seed)
    for step, rows in enumerate(rows_per_step):
        in_use = words[: words_in_use(step, len(words))]
        grown = len(in_use) == len(words)
        pools = [CONTENT_WORDS if grown and rng.random() < CONTENT_SHARE else in_use for _ in range(rows)]
        yield [make_row(rng, pool, length) for pool in pools]
