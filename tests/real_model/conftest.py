"""SmolLM2-135M-Instruct on the pair of prompts that indirect object identification is asked with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from jaxtyping import Int
from torch import Tensor

from analysis import models
from analysis.experiment import prepare
from analysis.metrics import Metric, named_metric
from analysis.requests import Experiment
from tests.real_model import conversion
from tests.runs import Runs, baseline, bridge_of, own_model, run_pair


@dataclass(frozen=True, eq=False)
class RealModel:
    """The model, the experiment, its tokens (both prompts begin with the model's own first token) and runs.

    `metric` is the logit difference " Mary" minus " John" in logits, `baseline` that of the corrupted run.
    """

    model: Any
    experiment: Experiment
    clean_tokens: Int[Tensor, "1 pos"]
    corrupted_tokens: Int[Tensor, "1 pos"]
    metric: Metric
    baseline: float
    runs: Runs


@pytest.fixture(scope="session")
def real_model() -> RealModel:
    """The real model and its runs; a failure where it has not been made."""
    if not conversion.folder().exists():
        pytest.fail("There is no real model here yet; python -m tests.real_model.conversion makes it.")
    experiment = Experiment(
        model=str(conversion.folder()),
        clean="When Mary and John went to the store, John gave a drink to",
        corrupted="When Mary and John went to the store, Mary gave a drink to",
        answer=" Mary",
        foil=" John",
    )
    bridge = models.load(experiment.model).bridge
    pair = prepare(bridge, experiment)
    runs = run_pair(bridge, pair.clean, pair.corrupted)
    metric = named_metric("logit_difference", pair, runs.clean_cache["unembed.hook_out"])
    return RealModel(
        model=bridge,
        experiment=experiment,
        clean_tokens=pair.clean,
        corrupted_tokens=pair.corrupted,
        metric=metric,
        baseline=baseline(runs, metric),
        runs=runs,
    )


@pytest.fixture(scope="session")
def in_float64(real_model: RealModel) -> RealModel:
    """The same in float64: the logits are near 20, so float32 cannot tell an effect to 3e-5."""
    folder = real_model.experiment.model
    bridge = bridge_of(folder, own_model(folder, torch.float64))
    runs = run_pair(bridge, real_model.clean_tokens, real_model.corrupted_tokens)
    return replace(real_model, model=bridge, runs=runs, baseline=baseline(runs, real_model.metric))
