"""Sets of prompt pairs, and the question for one that is made from words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from analysis.errors import PathscopeError
from analysis.labels import counted
from analysis.requests import Experiment, Request
from analysis.results.provenance import Result

#: Pairs of a set; each is computed by itself.
MOST_PAIRS = 64


class TextPair(NamedTuple):
    """What an `Experiment` holds beside its model."""

    clean: str
    corrupted: str
    answer: str
    foil: str

    def on(self, model: str) -> Experiment:
        """The pair as an experiment on `model`."""
        return Experiment(model, *self)


@dataclass(frozen=True)
class PromptSet:
    """Prompt pairs that ask for the same thing. Raises `PathscopeError` for none, and for too many."""

    pairs: tuple[TextPair, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.pairs) <= MOST_PAIRS:
            raise PathscopeError(
                f"A prompt set has 1 to {MOST_PAIRS} pairs, and this one would have "
                f"{counted(len(self.pairs), 'pair')}. Give some pairs, or leave some out."
            )

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def digest(self) -> str:
        """SHA-256 of the pairs in their order: the same digest, the same set, on whatever model."""
        return sha256(json.dumps(self.pairs).encode()).hexdigest()

    def experiments(self, model: str) -> tuple[Experiment, ...]:
        """The pairs as experiments on `model`, in their order."""
        return tuple(pair.on(model) for pair in self.pairs)


@dataclass(frozen=True, eq=False)
class PromptSetResult(Result):
    """Prompt pairs of equal token length on the model at hand, none twice."""

    request: PromptSetRequest
    pairs: tuple[tuple[str, str, str, str], ...]

    @property
    def prompt_set(self) -> PromptSet:
        """The pairs as a set."""
        return PromptSet(tuple(TextPair(*pair) for pair in self.pairs))


@dataclass(frozen=True)
class PromptSetRequest(Request[PromptSetResult]):
    """Up to `size` prompt pairs made from words that are one token each of the model at hand.

    Without a `template` they are of the same kind as the ready example that the experiment is, and begin
    with it. A template is a text with slots, as of `analysis.sets.TEMPLATE_SLOTS`; of the experiment the
    model alone then counts. A larger set begins with the pairs of a smaller one. Raises `PathscopeError`
    for an experiment that is no ready example, a template that cannot be filled, and a size out of bounds.
    """

    computed_by = "analysis.experiment:prompt_set_result"
    version = 1

    template: str | None = None
    size: int = 5
