"""A pair of prompts as it was typed, whether it can be run or not."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from analysis.requests import Request
from analysis.results.provenance import Result

#: Ways to another corrupted prompt for the same clean one.
AlternativeName = Literal["swapped_names", "another_example", "random_words"]

#: Of answer or foil: of how many tokens it is, which place it takes among the next tokens (1 is the most
#: probable) and its probability; None for both where it is not one token or its prompt has no run.
Standing = tuple[int, int | None, float | None]


@dataclass(frozen=True, eq=False)
class DraftResult(Result):
    """What can be said of a pair before it is sure that it makes one.

    Tokens are texts by position, none where that prompt cannot be run: it is empty or too long.
    `beginning` is the text of the beginning-of-sequence token where the prompts start with one, else
    empty. `differences` are the positions of different token ids, none where the lengths differ. The next
    tokens hold `(token, probability)`, most probable first, only such as are the same one token when they
    are typed. `answer` stands after the clean prompt, `foil` after the corrupted one.
    `better_with_a_space` are those of "answer" and "foil" that are one token with a space before them, too,
    and a more probable one in their run: the space was most likely forgotten. `alternatives` hold
    `(name, corrupted prompt, foil)`, each as long in tokens as the clean prompt, whose partner it can be.
    """

    request: DraftRequest
    clean_tokens: tuple[str, ...]
    corrupted_tokens: tuple[str, ...]
    beginning: str
    differences: tuple[int, ...]
    clean_next: tuple[tuple[str, float], ...]
    corrupted_next: tuple[tuple[str, float], ...]
    answer: Standing
    foil: Standing
    better_with_a_space: tuple[str, ...]
    alternatives: tuple[tuple[AlternativeName, str, str], ...]

    @property
    def unmatched(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of each prompt the positions whose token has no partner that reads the same.

        Prompts of one length stand position by position; of others the longest common stretches do.
        """
        if len(self.clean_tokens) == len(self.corrupted_tokens):
            return self.differences, self.differences
        pair = SequenceMatcher(None, self.clean_tokens, self.corrupted_tokens, autojunk=False)
        blocks = pair.get_matching_blocks()
        matched = (
            {block.a + step for block in blocks for step in range(block.size)},
            {block.b + step for block in blocks for step in range(block.size)},
        )
        lengths = len(self.clean_tokens), len(self.corrupted_tokens)
        clean, corrupted = (
            tuple(position for position in range(length) if position not in known)
            for length, known in zip(lengths, matched, strict=True)
        )
        return clean, corrupted


@dataclass(frozen=True)
class DraftRequest(Request[DraftResult]):
    """Tokens and next tokens of both prompts, how answer and foil stand, and what could be asked instead."""

    computed_by = "analysis.experiment:draft_result"
    version = 2
    of_a_draft = True
