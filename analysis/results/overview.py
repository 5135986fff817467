"""The experiment at a glance."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.requests import Request
from analysis.results.provenance import Result


@dataclass(frozen=True, eq=False)
class OverviewResult(Result):
    """The experiment at a glance.

    `clean_tokens[i]` and `corrupted_tokens[i]` are the texts at the same position. `differences` are
    the positions at which the two prompts have different token ids: two tokens may show as the same
    text and not be the same. The top lists hold `(token, logit, probability)` of the next token, most
    probable first. `metrics` maps each metric's name to its value on the clean and on the corrupted
    run, in its own unit. `n_layers` and `n_heads` are the model's, so that pages can offer source heads.
    """

    request: OverviewRequest
    clean_tokens: tuple[str, ...]
    corrupted_tokens: tuple[str, ...]
    differences: tuple[int, ...]
    clean_top: tuple[tuple[str, float, float], ...]
    corrupted_top: tuple[tuple[str, float, float], ...]
    metrics: dict[str, tuple[float, float]]
    n_layers: int
    n_heads: int


@dataclass(frozen=True)
class OverviewRequest(Request[OverviewResult]):
    """Tokens, predictions and every metric of both runs."""

    computed_by = "analysis.experiment:overview_result"
    version = 3
