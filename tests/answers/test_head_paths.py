"""A head's paths, and the strongest of all: the very effects that the sweeps over one component measure."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.answers.compute import compute
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import PathscopeError
from analysis.models.files import DEMO
from analysis.requests import HEAD_INPUTS, Experiment, LayerNormMode, MetricName
from analysis.results import AllSourcesRequest, HeadPathsRequest, StrongestPathsRequest
from analysis.store.store import Store

ASKED = Experiment(DEMO, *(getattr(EXAMPLES[0], key) for key in ("clean", "corrupted", "answer", "foil")))
HEAD = (1, 2)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store.open(tmp_path_factory.mktemp("store"))


def swept(store: Store, layer_norm: LayerNormMode, metric: MetricName = "logit_difference") -> np.ndarray:
    """Every effect [component, source layer, source head, destination layer, destination head]."""
    found = [compute(AllSourcesRequest(ASKED, read, layer_norm, metric), store) for read in HEAD_INPUTS]
    return np.stack(
        [np.where(sweep.causal, sweep.values - sweep.corrupted_metric, np.nan) for sweep in found]
    )


@pytest.mark.parametrize(
    ("layer_norm", "metric"), [("frozen", "logit_difference"), ("exact", "answer_log_probability")]
)
def test_the_paths_of_a_head_are_those_of_the_sweeps_that_begin_or_end_there(store, layer_norm, metric):
    found = compute(HeadPathsRequest(ASKED, *HEAD, layer_norm, metric), store)
    every = swept(store, layer_norm, metric)
    assert len(found.edges) == (~np.isnan(every[:, *HEAD])).sum() + (~np.isnan(every[..., *HEAD])).sum()
    close = {"rtol": 0, "atol": 1e-4 * np.nanmax(np.abs(every))}
    for index in range(3):
        np.testing.assert_allclose(found.map_of(index, "source", *HEAD), every[index][HEAD], **close)
        np.testing.assert_allclose(
            found.map_of(index, "destination", *HEAD), every[index][..., *HEAD], **close
        )
    assert not np.allclose(found.map_of(0, "source", *HEAD), found.map_of(2, "source", *HEAD), equal_nan=True)


@pytest.mark.parametrize("layer_norm", ["frozen", "exact"])
def test_the_strongest_paths_are_the_strongest_of_all_three_sweeps_in_their_order(store, layer_norm):
    found = compute(StrongestPathsRequest(ASKED, layer_norm), store)
    every = swept(store, layer_norm)
    sizes = np.sort(np.abs(every[~np.isnan(every)]))[::-1]
    assert found.n_paths == (~np.isnan(every)).sum()
    table = found.table()
    assert len(table) == 50
    np.testing.assert_allclose(np.abs(table["effect"])[:10], sizes[:10], rtol=0, atol=1e-4 * sizes[0])
    for row in table.head(10).itertuples():
        own = every[HEAD_INPUTS.index(row.component), row.sl, row.sh, row.dl, row.dh]
        assert row.effect == pytest.approx(own, abs=1e-4 * sizes[0])
        assert row.recovery == pytest.approx(own / (found.clean_metric - found.corrupted_metric), abs=1e-4)
    assert set(table["component"]) == {"q", "k", "v"}


def test_a_head_that_there_is_not_is_refused(store):
    with pytest.raises(
        PathscopeError, match="no head L4H0: choose a layer from 0 to 3 and a head from 0 to 7"
    ):
        compute(HeadPathsRequest(ASKED, 4, 0), store)


def test_identical_prompts_have_no_effect_at_all(store):
    same = Experiment(DEMO, ASKED.clean, ASKED.clean, ASKED.answer, ASKED.foil)
    for request in (StrongestPathsRequest(same), HeadPathsRequest(same, *HEAD)):
        found = compute(request, store)
        assert len(found.effect) and not found.effect.any()
        assert np.isnan(found.table()["recovery"]).all()
