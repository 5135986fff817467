"""One number of a metric, and what of it is rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from analysis.errors import MetricError
from analysis.metrics import (
    AnswerProbability,
    KLFromClean,
    LogitDifference,
    checked_scalar,
    logit_resolution,
    logit_scale,
    logit_spread,
    metric_gradient,
    metric_resolution,
)

LOGITS = torch.randn(2, 3, 400, generator=torch.Generator().manual_seed(0))


def test_the_scale_of_normal_logits_is_about_their_largest():
    assert float(logit_scale(LOGITS).min()) > 3.0 and float(logit_scale(LOGITS).max()) < 6.0


@pytest.mark.parametrize("shift", [-40.0, 40.0])
def test_the_scale_of_logits_far_from_zero_is_their_distance_from_it_whatever_their_sign(shift: float):
    scale, plain = logit_scale(LOGITS + shift), logit_spread(LOGITS)
    assert (scale - abs(shift) - plain).abs().max() < 0.3
    assert (logit_scale(-LOGITS - shift) - scale).abs().max() < 0.1
    assert logit_spread(LOGITS + shift) == pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize("entry", [-1e4, 1e4, -math.inf, math.nan])
def test_a_padded_or_forbidden_part_of_the_vocabulary_does_not_coarsen_the_resolution(entry: float):
    padded = torch.cat([LOGITS, torch.full((2, 3, 60), entry)], dim=-1)
    plain = logit_resolution(LOGITS)
    assert plain / 2 < logit_resolution(padded) < 2 * plain
    metric = LogitDifference(7, 11)
    assert metric_resolution(metric, padded) < 2 * metric_resolution(metric, LOGITS)


def test_the_resolution_of_a_metric_that_reads_a_huge_logit_is_as_coarse_as_that():
    padded = LOGITS.clone()
    padded[..., 7] = -1e4
    fine, coarse = (metric_resolution(LogitDifference(7, 11), logits) for logits in (LOGITS, padded))
    assert coarse > 500 * fine


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_resolution_is_a_few_units_of_the_last_place(dtype: torch.dtype):
    eps = torch.finfo(dtype).eps
    assert 10 * eps < logit_resolution(LOGITS.to(dtype)) < 100 * eps


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_the_resolution_follows_the_metrics_own_unit(factor: float):
    scaled = metric_resolution(lambda logits: factor * LogitDifference(7, 11)(logits), LOGITS)
    assert scaled == pytest.approx(factor * metric_resolution(LogitDifference(7, 11), LOGITS))


def test_rounding_the_logits_changes_no_metric_by_more_than_its_resolution():
    wide = LOGITS.double()
    for metric in (LogitDifference(7, 11), AnswerProbability(7), KLFromClean(wide[:, 0])):
        off = abs(float(metric(wide.bfloat16().double())) - float(metric(wide)))
        coarse = torch.finfo(torch.bfloat16).eps / torch.finfo(torch.float64).eps
        assert 0.0 < off < coarse * metric_resolution(metric, wide)


#: Metrics without a gradient that is finite, in which the size of a metric says nothing of rounding.
WITHOUT_GRADIENT: dict[str, Any] = {
    "number": lambda logits: float(logits[0, -1, 7]),
    "NumPy": lambda logits: logits.numpy().max(),
    "choice": lambda logits: logits[0, -1].argmax(),
    "choice as a number": lambda logits: logits[0, -1].argmax().float(),
    "constant": lambda logits: torch.tensor(1.0),
    "vector": lambda logits: logits[:, -1, 7],
    "complex": lambda logits: logits[0, -1, 7] * 1j,
}


@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_a_metric_without_a_gradient_has_the_resolution_of_a_logit(name: str):
    metric = WITHOUT_GRADIENT[name]
    assert metric_gradient(metric, LOGITS) is None
    assert metric_resolution(metric, LOGITS) == logit_resolution(LOGITS)


@pytest.mark.parametrize(
    "metric", [lambda logits: logits[0, -1, 7] * math.nan, lambda logits: (logits * 0).sum().sqrt()]
)
def test_a_gradient_that_is_not_finite_says_nothing_either(metric: Any):
    assert metric_resolution(metric, LOGITS) == logit_resolution(LOGITS)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_metric_has_its_gradient_where_torch_is_told_to_keep_none(mode: Any):
    with mode():
        logits = LOGITS.clone()
        for metric in (LogitDifference(7, 11), AnswerProbability(7), KLFromClean(logits[:, 0])):
            found, expected = metric_gradient(metric, logits), metric_gradient(metric, LOGITS)
            assert found is not None and expected is not None and torch.equal(found, expected)


def test_logits_of_which_none_is_finite_have_no_resolution():
    assert logit_resolution(torch.full((1, 4), -math.inf)) == 0.0


@pytest.mark.parametrize(
    "value", [2.5, np.float32(2.5), np.array([2.5]), torch.tensor(2.5), torch.tensor([[2.5]])]
)
def test_one_number_of_any_kind_is_a_metric(value: Any):
    assert checked_scalar(lambda logits: value, LOGITS) == 2.5


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (torch.ones(2), r"shape \(2,\)"),
        (np.ones((2, 2)), r"shape \(2, 2\)"),
        (torch.tensor(math.nan), "nan; it must be finite"),
        (-math.inf, "-inf; it must be finite"),
        (torch.tensor(1j), "complex number"),
        (1j, "returned 1j; it must return a single real number"),
        (None, "returned None"),
        ("high", "returned 'high'"),
    ],
    ids=repr,
)
def test_what_is_not_one_finite_number_is_no_metric(value: Any, says: str):
    with pytest.raises(MetricError, match=says):
        checked_scalar(lambda logits: value, LOGITS)
