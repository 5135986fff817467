"""A set of prompt pairs made from words that are one token each of the model at hand."""

from __future__ import annotations

from analysis.experiment.origin import Origin
from analysis.experiment.prompts import pieces
from analysis.experiment.runs import alone_with
from analysis.policy import policy
from analysis.results import PromptSetRequest, PromptSetResult, TextPair
from analysis.sets import drawn_pairs


def prompt_set_result(request: PromptSetRequest, origin: Origin) -> PromptSetResult:
    """Pairs of the example's kind or from a template. Raises what `PromptSetRequest` says."""
    policy().check_pairs(request.size)
    model, asked = origin.runs.model, request.experiment
    base = TextPair(asked.clean, asked.corrupted, asked.answer, asked.foil)
    with alone_with(model):
        pairs = drawn_pairs(
            base, request.template, request.size, lambda text: len(pieces(model.bridge, text))
        )
    return PromptSetResult(request=request, pairs=pairs, provenance=origin.provenance())
