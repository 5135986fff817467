"""Every path estimated, one path by position: what the other questions about them answer, too."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.answers.compute import compute
from analysis.errors import PathscopeError
from analysis.requests import HEAD_INPUTS, LayerNormMode, MetricName
from analysis.results import (
    AllSourcesRequest,
    ChosenPathsRequest,
    PathEstimatesRequest,
    PathPositionsRequest,
)
from analysis.store.store import Store
from tests.answers.test_head_paths import ASKED

PATH = ("L0H7", "L2H5.v")
ASKED_FOR: tuple[tuple[LayerNormMode, MetricName], ...] = (
    ("frozen", "logit_difference"),
    ("exact", "answer_log_probability"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize(("layer_norm", "metric"), ASKED_FOR)
def test_every_path_is_estimated_as_the_sweeps_into_one_input_do(store, layer_norm, metric):
    found = compute(PathEstimatesRequest(ASKED, layer_norm, metric), store)
    for index, component in enumerate(HEAD_INPUTS):
        sweep = compute(AllSourcesRequest(ASKED, component, layer_norm, metric), store)
        np.testing.assert_array_equal(np.isnan(found.estimate[index]), ~sweep.causal)
        close = {"rtol": 0, "atol": 1e-5 * np.nanmax(np.abs(sweep.estimate))}
        np.testing.assert_allclose(found.estimate[index], sweep.estimate, **close)
        # The one runs both prompts at once, the other apart: what may differ is what each says is rounding.
        rounding = found.provenance.resolution
        assert rounding is not None and 0 < rounding < 1e-4
        assert found.corrupted_metric == pytest.approx(sweep.corrupted_metric, abs=rounding)
        assert found.clean_metric == pytest.approx(sweep.clean_metric, abs=rounding)


@pytest.mark.parametrize(("layer_norm", "metric"), ASKED_FOR)
def test_the_whole_of_a_path_by_position_is_the_path(store, layer_norm, metric):
    found = compute(PathPositionsRequest(ASKED, PATH, layer_norm, metric), store)
    [whole] = compute(ChosenPathsRequest(ASKED, (PATH,), layer_norm, metric), store).effect
    assert found.whole == pytest.approx(whole, abs=1e-5)
    assert found.rest == pytest.approx(whole - found.effect.sum(), abs=1e-5)
    first = [a != b for a, b in zip(found.clean_tokens, found.corrupted_tokens, strict=True)].index(True)
    assert len(found.effect) == len(found.clean_tokens) and not found.effect[:first].any()
    assert found.effect[first:].any()
    table = found.table()
    assert table["effect"].tolist() == found.effect.tolist()
    assert table["clean"][first] == " John" and table["corrupted"][first] == " Mary"
    span = found.clean_metric - found.corrupted_metric
    assert table["recovery"].to_numpy() == pytest.approx(found.effect / span)


def test_what_is_no_path_between_heads_has_no_positions(store):
    with pytest.raises(PathscopeError, match="not one between heads"):
        compute(PathPositionsRequest(ASKED, ("MLP0", "L2H5.v")), store)
