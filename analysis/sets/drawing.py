"""Sets of pairs drawn until there are enough that fit the model at hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from analysis.errors import PathscopeError
from analysis.results import MOST_PAIRS, TextPair
from analysis.sets.ready import required_kind_of
from analysis.sets.template import check_template, filled, words_of_one_token

#: Begins every draw, so that the same question gives the same set everywhere.
_SEED = 0
#: Draws for each pair that is wanted, after which there are no more to be found.
_DRAWS = 100


def drawn_pairs(
    base: TextPair, template: str | None, size: int, length: Callable[[str], int]
) -> tuple[TextPair, ...]:
    """Up to `size` different pairs from `template`, or of the kind of `base` beginning with it.

    `length` counts the tokens of a text. All prompts have equally many; answers and foils one.
    Raises what `analysis.results.PromptSetRequest` says.
    """
    if not 1 <= size <= MOST_PAIRS:
        raise PathscopeError(f"A prompt set has 1 to {MOST_PAIRS} pairs, and {size} are asked for.")
    first: tuple[TextPair, ...] = ()
    if template is None:
        draw, first = required_kind_of(base).draw, (base,)
    else:
        check_template(template)
        draw = partial(filled, template)
    rng, words = random.Random(_SEED), words_of_one_token(length)
    found = dict.fromkeys(first, length(base.clean))
    for _ in range(_DRAWS * size):
        if len(found) == size:
            break
        pair = draw(rng, words)
        tokens = length(pair.clean)
        alike = tokens == length(pair.corrupted) == next(iter(found.values()), tokens)
        if alike and length(pair.answer) == length(pair.foil) == 1:
            found.setdefault(pair, tokens)
    if not found:
        raise PathscopeError(
            "No words were found with which both prompts of the template have the same number of tokens on "
            "this model. Put a space before each slot."
        )
    return tuple(found)
