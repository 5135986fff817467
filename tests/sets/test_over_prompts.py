"""One circuit, one node, one path and the identities over the prompts of a set, against numbers by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.answers.compute import compute
from analysis.models import DEMO
from analysis.results import (
    ChosenPathsRequest,
    EdgeLabels,
    NodeAttributionRequest,
    SanityRequest,
    SanityResult,
    StrongestPathsRequest,
)
from analysis.sets import (
    READY_KINDS,
    SET_SCORES,
    CircuitOverPrompts,
    checks_over_prompts,
    one_node,
    one_path,
    path_agreement,
)
from analysis.store import Store
from tests.chart_samples import PROVENANCE
from tests.circuit_samples import own_scores_of

ASKED = [READY_KINDS[name].first.on(DEMO) for name in ("drinks", "balls")]
EDGES: EdgeLabels = (("embed", "L0H1.v"),)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store.open(tmp_path_factory.mktemp("store"))


def test_the_headline_is_the_sum_of_what_is_moved_over_the_sum_of_differences():
    results = [
        replace(own_scores_of(EDGES), clean_metric=high, corrupted_metric=low, brings_back=np.array([share]))
        for high, low, share in ((6.0, -2.0, 0.75), (5.0, -1.0, 0.5), (4.0, 0.0, 1.0), (4.0, 3.99, -300.0))
    ]
    found = CircuitOverPrompts.of(results)
    assert found.difference.tolist() == pytest.approx([8.0, 6.0, 4.0, 0.01])
    assert found.ratio[0] == pytest.approx((6.0 + 3.0 + 4.0 - 3.0) / 18.01)
    assert found.ratio[1:].tolist() == pytest.approx([0.87, 0.64])
    assert found.small.tolist() == [False, False, False, True]
    without = found.without(3)
    assert without.ratio[0] == pytest.approx(13 / 18) and without.n_prompts == 3
    table = found.table([1, 2, 5, 6])
    assert table["prompt"].tolist() == ["1", "2", "5", "6", "all"]
    assert table["brings_back"].tolist() == pytest.approx([0.75, 0.5, 1.0, -300.0, found.ratio[0]])
    assert table["difference"].iloc[-1] == pytest.approx(18.01 / 4)


def test_there_is_no_share_of_a_difference_that_is_none():
    found = CircuitOverPrompts(np.full((2, 3), 0.5), np.array([4.0, -3.0]))
    assert np.isnan(found.ratio).all() and np.isnan(found.interval).all()
    assert np.isnan(found.table()["brings_back"].iloc[-1])


def test_the_interval_is_of_the_ratio_and_closes_where_all_prompts_agree():
    found = CircuitOverPrompts(np.full((4, 3), 0.5), np.array([4.0, 3.0, 1.0, 2.0]))
    assert found.interval == pytest.approx(np.full((2, 3), 0.5))
    spread = CircuitOverPrompts(np.array([[0.2] * 3, [0.4] * 3, [0.9] * 3]), np.array([2.0, 2.0, 4.0]))
    low, high = spread.interval[:, 0]
    assert spread.ratio[0] == pytest.approx(0.6) and 0.2 <= low < 0.6 < high <= 0.9
    assert np.isnan(CircuitOverPrompts(spread.share[:2], spread.difference[:2]).interval).all()
    assert len(SET_SCORES) == 3


@pytest.mark.parametrize("run", ["clean", "clean_minus_corrupted"])
def test_a_node_ranks_where_the_table_of_its_prompt_has_it(store, run):
    results = [compute(NodeAttributionRequest(one), store) for one in ASKED]
    for node in ("L2H5", "MLP0"):
        item = one_node(results, node, run)
        for row, result in enumerate(results):
            table = result.table(run, -1)
            sizes = table["attribution"].abs()
            own = sizes[table["node"] == node].item()
            assert item.effect[row] == table["attribution"][table["node"] == node].item()
            assert item.rank[row] == 1 + (sizes > own).sum()
        assert item.table([3, 7])["prompt"].tolist() == [3, 7]


def test_a_path_ranks_where_the_table_of_its_prompt_has_it_and_behind_it_where_it_is_not_there(store):
    strongest = [compute(StrongestPathsRequest(one), store) for one in ASKED]
    first = strongest[0].labels[0]
    weak = ("L0H0", "L3H0.q")
    for path in (first, weak):
        missing = [path not in result.labels for result in strongest]
        left = [
            compute(ChosenPathsRequest(one, (path,)), store) if absent else None
            for one, absent in zip(ASKED, missing, strict=True)
        ]
        item = one_path(strongest, left, path)
        for row, result in enumerate(strongest):
            sizes = sorted(np.abs(result.effect), reverse=True)
            if missing[row]:
                assert item.rank[row] == 1 + sum(size > abs(item.effect[row]) for size in sizes)
            else:
                assert sizes[item.rank[row] - 1] == abs(item.effect[row])
    assert missing == [True, True] and not item.robust
    every = path_agreement(strongest[:1], [None])
    alone = one_path(strongest[:1], [None], first)
    index = every.labels.index(" → ".join(first))
    assert alone.effect[0] == every.effect[0, index] and alone.agreement.strongest[0, 0]
    assert alone.agreement.share[0] == every.share[index]


def test_the_checks_are_counted_and_the_prompt_that_fails_is_named():
    def result(*measured: float) -> SanityResult:
        checks = tuple((f"check {i}", "must hold", value, 1e-3) for i, value in enumerate(measured))
        return SanityResult(SanityRequest(ASKED[0]), PROVENANCE, checks)

    table = checks_over_prompts([result(0.0, 2e-4), result(1e-3, 5e-3), result(1e-4, np.nan, 0.0)], [1, 2, 4])
    assert table["holds"].tolist() == [3, 1, 1] and table["prompts"].tolist() == [3, 3, 1]
    assert table["fails_in"].tolist() == ["none", "2, 4", "none"]
    assert table["nearest"].tolist() == [2, 4, 4]
    assert table["measured"].tolist()[0] == 1e-3 and np.isnan(table["measured"][1])
