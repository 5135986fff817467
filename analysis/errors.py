"""Errors a person can act on: each names the value, the limit and the way out.

Pages show `str(error)` as plain text and draw one button per remedy, its label escaped; nothing here
ever acts as markdown.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Remedy:
    """One change to the experiment that would mend the error.

    `field` is the name of a field of `analysis.requests.Experiment`, `value` what to put there.
    """

    label: str
    _: KW_ONLY
    field: str
    value: str


class PathscopeError(ValueError):
    """Base of every error that a page shows as a sentence."""

    def __init__(self, message: str, *remedies: Remedy) -> None:
        super().__init__(message)
        self.remedies = remedies


class PromptError(PathscopeError):
    """A prompt is empty, too long, no text or token ids, or does not align with its partner."""


class PromptLimitError(PromptError):
    """A prompt is larger than the settings allow, which may be others tomorrow."""


class AnswerError(PathscopeError):
    """An answer or foil is missing, not one token of the model, forbidden by it, or equal to the other."""


class ModelError(PathscopeError):
    """A model cannot be found, read or trusted."""


class UnsupportedModelError(ModelError, NotImplementedError):
    """A model whose files are whole cannot be opened as it is, or the analysis is not defined for it."""


class MetricError(PathscopeError):
    """A metric does not fit the prompts or the vocabulary, or does not give one finite number."""


class PictureError(PathscopeError):
    """A chart could not be drawn as a picture; its numbers are unaffected."""


class Cancelled(PathscopeError):
    """Long work was stopped on request before it finished."""
