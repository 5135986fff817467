"""A model and a pair of prompts made ready: tokens, both runs, and what their numbers depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from analysis.experiment.budget import pairs_at_once
    from analysis.experiment.draft import draft_result
    from analysis.experiment.keys import model_content, request_content, versions
    from analysis.experiment.origin import DraftOrigin, Origin, finished
    from analysis.experiment.overview import overview_result
    from analysis.experiment.prompt_set import prompt_set_result
    from analysis.experiment.prompts import AnswerRole, PromptPair, prepare, single_token, tokenize
    from analysis.experiment.runs import (
        Activations,
        Draft,
        Drafts,
        Run,
        Runs,
        alone_with,
        run_drafts,
        run_experiment,
    )

#: Loaded on first use: the keys of a stored result are made without torch.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "budget": ["pairs_at_once"],
        "draft": ["draft_result"],
        "keys": ["model_content", "request_content", "versions"],
        "origin": ["DraftOrigin", "Origin", "finished"],
        "overview": ["overview_result"],
        "prompt_set": ["prompt_set_result"],
        "prompts": ["AnswerRole", "PromptPair", "prepare", "single_token", "tokenize"],
        "runs": [
            "Activations",
            "Draft",
            "Drafts",
            "Run",
            "Runs",
            "alone_with",
            "run_drafts",
            "run_experiment",
        ],
    },
)

__all__ = [
    "Activations",
    "AnswerRole",
    "Draft",
    "DraftOrigin",
    "Drafts",
    "Origin",
    "PromptPair",
    "Run",
    "Runs",
    "alone_with",
    "draft_result",
    "finished",
    "model_content",
    "overview_result",
    "pairs_at_once",
    "prepare",
    "prompt_set_result",
    "request_content",
    "run_drafts",
    "run_experiment",
    "single_token",
    "tokenize",
    "versions",
]
