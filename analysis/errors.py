"""Errors a person can act on: each names the value, the limit and the way out.

Pages show `str(error)` as plain text and draw one button per remedy; nothing here is ever
rendered as markdown.
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
    """A prompt is empty, too long, or does not align with its partner."""


class AnswerError(PathscopeError):
    """An answer or foil is not a single token, or the two are the same."""


class ModelError(PathscopeError):
    """A model cannot be found, read or trusted."""


class UnsupportedModelError(ModelError, NotImplementedError):
    """The model loads, but the analysis is not defined for its architecture."""


class MetricError(PathscopeError):
    """A patching metric returned something other than one finite number per prompt."""


class StoreError(PathscopeError):
    """The store on disk cannot be used; the result itself is unaffected."""


class PictureError(PathscopeError):
    """A chart could not be drawn as a picture; its numbers are unaffected."""


class Cancelled(PathscopeError):
    """A sweep was stopped on request before it finished."""
