"""The app on the real model, as somebody sees it who types the folder's name."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.charts.drawn import as_number
from tests.pages.looking import chart, visit
from tests.real_model.conftest import RealModel


def test_the_overview_charts_what_the_model_says(real_model: RealModel):
    app = visit("result", **asdict(real_model.experiment))
    assert not app.exception
    clean, *_ = chart(app).of("rect", "token", "prompt")
    assert clean.told["token"] == "·Mary" and clean.told["prompt"] == "clean"
    assert as_number(clean.told["probability"]) == pytest.approx(0.836, abs=1e-3)


def test_direct_logit_attribution_charts_every_component(real_model: RealModel):
    app = visit("direct_logit_attribution", unit="component", **asdict(real_model.experiment))
    assert not app.exception
    bars = chart(app).of("rect", "component", "logits")
    assert len({bar.told["component"] for bar in bars}) == len(bars) == 1 + 2 * real_model.model.cfg.n_layers
    assert sum(as_number(bar.told["logits"]) for bar in bars) == pytest.approx(5.287, abs=5e-3)
