"""The prompts and models that attribution is tested on."""

from __future__ import annotations

from typing import Any

import torch

from tests.runs import family_model

TOKENS = torch.tensor([[0, 5, 66, 7, 81, 9], [0, 50, 61, 72, 8, 19]])
ANSWER, INCORRECT = 40, 50


def model_of(family: str) -> Any:
    return family_model(family, torch.float32)
