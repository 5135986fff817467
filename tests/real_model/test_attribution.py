"""What the parts of the real model's answer add up to."""

from __future__ import annotations

import pytest
import torch

from analysis import direct_logit_attribution
from tests.real_model.conftest import RealModel


@pytest.mark.parametrize(("run", "expected"), [("clean", 5.287), ("corrupted", -5.047)])
def test_the_model_knows_who_gets_the_drink(real_model: RealModel, run: str, expected: float):
    with torch.no_grad():
        difference = real_model.metric(real_model.model(getattr(real_model, f"{run}_tokens")))
    assert float(difference) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("unit", ["component", "layer", "head"])
@pytest.mark.parametrize("run", ["clean", "corrupted"])
def test_the_parts_add_up_to_the_logit_difference(real_model: RealModel, run: str, unit: str):
    """The unembedding has no bias here; the entries of "layer" are cumulative, so the last is their sum."""
    tokens = getattr(real_model, f"{run}_tokens")
    parts = direct_logit_attribution(real_model.model, tokens, " Mary", " John", unit=unit).attribution
    with torch.no_grad():
        difference = float(real_model.metric(real_model.model(tokens)))
    total = float(parts[-1] if unit == "layer" else parts.double().sum())
    assert total == pytest.approx(difference, abs=2e-5)
