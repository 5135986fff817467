"""A batch of prompts gives each of them what it has alone, in every family, metric and LayerNorm mode."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.edges import Exchange, estimated_by_prompt, estimated_effects, measured_effects
from analysis.errors import MetricError
from analysis.metrics import AnswerProbability, KLFromClean, LogitDifference
from analysis.requests import LAYER_NORM_MODES
from tests.configurations import FAMILIES
from tests.runs import KeepFloat64, family_model, last_logit_difference
from tests.sweep.support import models_of_this_release

WITHIN = 1e-9
N_PROMPTS, N_POSITIONS = 4, 6


def prompts(model) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs that first differ at another position each."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.randint(1, model.cfg.d_vocab, (N_PROMPTS, N_POSITIONS), generator=generator)
    corrupted = clean.clone()
    for row in range(N_PROMPTS):
        corrupted[row, 1 + row] = (clean[row, 1 + row] + 1) % model.cfg.d_vocab
    return clean, corrupted


def logit_differences() -> tuple[LogitDifference, list[LogitDifference]]:
    answers, foils = [3, 4, 5, 6], [7, 8, 9, 3]
    each = [LogitDifference(answer, foil) for answer, foil in zip(answers, foils, strict=True)]
    return LogitDifference(answers, foils), each


def exchanges(model, metric, alone, layer_norm: str) -> tuple[Exchange, list[Exchange]]:
    """The batch, and each prompt with runs of its own."""
    clean, corrupted = prompts(model)
    both = Exchange.of(model, corrupted, clean, metric, layer_norm=layer_norm)
    each = [
        Exchange.of(model, corrupted[row : row + 1], clean[row : row + 1], one, layer_norm=layer_norm)
        for row, one in enumerate(alone)
    ]
    return both, each


def check(both: Exchange, each: list[Exchange], metrics) -> None:
    by_prompt = estimated_by_prompt(both)
    edges = both.graph.edges[:: max(1, len(both.graph.edges) // 40)]
    for row, one in enumerate(each):
        expected = estimated_effects(one)
        within = WITHIN * np.nanmax(np.abs(expected))
        np.testing.assert_allclose(by_prompt[row], expected, rtol=0, atol=within)
        assert np.nanmax(np.abs(expected)) > 1e-6
        sliced = both.by_prompt(metrics)[row]
        np.testing.assert_allclose(estimated_effects(sliced), expected, rtol=0, atol=within)
        found, wanted = measured_effects(sliced, edges), measured_effects(one, edges)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=WITHIN * np.abs(wanted).max())
    mean = estimated_effects(both)
    np.testing.assert_allclose(by_prompt.mean(axis=0), mean, rtol=0, atol=WITHIN * np.nanmax(np.abs(mean)))


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_gives_each_prompt_what_it_has_alone(family, layer_norm):
    model = models_of_this_release()[family]().model
    with KeepFloat64(), torch.inference_mode(False), torch.no_grad():
        metric, alone = logit_differences()
        check(*exchanges(model, metric, alone, layer_norm), alone)


@pytest.mark.parametrize("name", ["probability", "kl"])
def test_metrics_that_bend_are_each_prompts_own(name):
    model = family_model("gpt2")
    clean, _ = prompts(model)
    with KeepFloat64(), torch.inference_mode(False), torch.no_grad():
        logits = model(clean)[:, -1]
        answers, of_kl = [3, 4, 5, 6], name == "kl"
        metric = KLFromClean(logits) if of_kl else AnswerProbability(answers)
        alone = [
            KLFromClean(row[None]) if of_kl else AnswerProbability(answer)
            for row, answer in zip(logits, answers, strict=True)
        ]
        check(*exchanges(model, metric, alone, "exact"), alone)


def test_a_metric_of_which_no_prompts_part_is_known_is_refused():
    model = family_model("gpt2")
    clean, corrupted = prompts(model)
    exchange = Exchange.of(model, corrupted, clean, last_logit_difference)
    with pytest.raises(MetricError, match="one number for the whole batch"):
        estimated_by_prompt(exchange)
