"""A set of prompt pairs made from words that are one token each of the model at hand."""

from __future__ import annotations

from functools import partial

from analysis.experiment.origin import Origin
from analysis.experiment.prompts import token_count
from analysis.experiment.runs import alone_with
from analysis.results import PromptSetRequest, PromptSetResult, TextPair
from analysis.sets import drawn_pairs


def prompt_set_result(request: PromptSetRequest, origin: Origin) -> PromptSetResult:
    """Pairs of the example's kind or from a template. Raises what `PromptSetRequest` says."""
    model, asked = origin.runs.model, request.experiment
    base = TextPair(asked.clean, asked.corrupted, asked.answer, asked.foil)
    with alone_with(model):
        pairs = drawn_pairs(base, request.template, request.size, partial(token_count, model.bridge))
    return PromptSetResult(request=request, pairs=pairs, provenance=origin.provenance())
