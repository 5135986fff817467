"""By how much the parts may miss the whole: what rounding explains, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.attribution.of_run import require_whole
from analysis.attribution.readout import require_finite
from analysis.errors import AnswerError, UnsupportedModelError
from analysis.results import AttributionResult
from tests.chart_samples import TOKENS, attribution

#: How many units of its last place a logit of a forward pass may be off.
UNITS_OF_THE_LAST_PLACE = 8


def missing(by: float, parts: AttributionResult | None = None) -> AttributionResult:
    """A result whose parts miss the model's own logit difference by so much at one position."""
    result = attribution() if parts is None else parts
    difference = result.reconstructed.copy()
    difference[2] += by
    return replace(result, logit_difference=difference)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_two_logits_of_a_common_size_may_each_be_off_by_its_rounding(size, dtype):
    """Logits that all stand far from zero, with nothing between them that could hide a forgotten part."""
    logits = torch.full((1, len(TOKENS), 400), size, dtype=dtype)
    rounding = 2 * UNITS_OF_THE_LAST_PLACE * torch.finfo(dtype).eps * abs(size)
    require_whole(missing(0.9 * rounding), logits)
    with pytest.raises(UnsupportedModelError, match=r"miss this model's own .*Choose another"):
        require_whole(missing(1.1 * rounding), logits)


def test_parts_far_larger_than_their_sum_may_be_off_by_their_own_rounding():
    """Of the largest, and with the root of their number, as independent roundings add up."""
    n_parts, size = 400, 1e6
    signs = (-1.0) ** (np.arange(n_parts) // 2)
    parts = (size * signs * np.linspace(0.01, 1.0, n_parts))[:, None] * np.ones(len(TOKENS))
    large = replace(attribution(), attribution=parts, labels=tuple(f"part {i}" for i in range(n_parts)))
    rounding = UNITS_OF_THE_LAST_PLACE * torch.finfo(torch.float32).eps * size * n_parts**0.5
    logits = torch.zeros(1, len(TOKENS), 400)
    require_whole(missing(0.9 * rounding, large), logits)
    with pytest.raises(UnsupportedModelError, match="miss this model's own logit difference"):
        require_whole(missing(1.1 * rounding, large), logits)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_thousandth_of_what_lies_between_ordinary_logits_is_no_part(sign):
    logits = torch.randn(1, len(TOKENS), 4000, generator=torch.Generator().manual_seed(0))
    # The median distance of normal numbers from their middle is 0.6745.
    spread = 6 * 0.6745
    require_whole(missing(sign * 0.8e-3 * spread), logits)
    with pytest.raises(UnsupportedModelError, match=r"by up to 0\.00"):
        require_whole(missing(sign * 1.2e-3 * spread), logits)


def test_each_position_is_judged_by_its_own_logits():
    logits = torch.randn(1, len(TOKENS), 4000, generator=torch.Generator().manual_seed(0))
    logits[:, :2] *= 1000
    with pytest.raises(UnsupportedModelError):
        require_whole(missing(0.1), logits)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_not_finite_is_said_of_the_answer(value):
    with pytest.raises(AnswerError, match=r"answer or the foil is not finite.*Choose another"):
        require_whole(missing(value), torch.randn(1, len(TOKENS), 400))


@pytest.mark.parametrize(("role", "value"), [("answer", "-inf"), ("foil", "nan")])
def test_one_logit_that_is_not_finite_is_told_by_its_role_and_value(role, value):
    logits = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(0))
    answer, foil = torch.tensor([7, 8]), torch.tensor(11)
    logits[1, 2, 8 if role == "answer" else 11] = float(value)
    with pytest.raises(AnswerError, match=f"The logit of the {role} is {value}, which no sum"):
        require_finite(logits, [answer, foil])
    logits[1, 2] = 0.0
    logits[0, 0, 9] = float(value)
    require_finite(logits, [answer, foil])


def test_parts_that_are_not_finite_are_no_whole():
    result = attribution()
    parts = result.attribution.copy()
    parts[0, 1] = np.nan
    with pytest.raises(UnsupportedModelError):
        require_whole(replace(result, attribution=parts), torch.randn(1, len(TOKENS), 400))
