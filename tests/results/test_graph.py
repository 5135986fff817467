"""What each edge is worth, in which order, and what a share of it is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.circuit_samples import GRAPH, a_graph, scores_of


def test_an_edge_is_worth_the_larger_of_what_it_brings_back_and_breaks() -> None:
    result = a_graph()
    for writer, reader in GRAPH.edges.tolist():
        both = [
            measured if not np.isnan(measured) else estimated
            for measured, estimated in zip(
                result.measured[:, writer, reader], result.estimated[:, writer, reader], strict=True
            )
        ]
        assert result.share[writer, reader] == max(both, key=abs)
    assert np.isnan(result.share[~GRAPH.exists]).all()


def test_the_ranking_goes_by_size_and_has_every_edge_once() -> None:
    result = a_graph()
    sizes = np.abs(result.share[tuple(result.ranking.T)])
    assert (np.diff(sizes) <= 0).all() and len({*map(tuple, result.ranking.tolist())}) == len(GRAPH)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_the_smallest_set_that_holds_a_share_is_the_smallest(share: float) -> None:
    result = a_graph()
    sizes = np.abs(result.share[tuple(result.ranking.T)])
    few = result.smallest(share)
    assert sizes[:few].sum() >= share * sizes.sum() - 1e-9 > sizes[: few - 1].sum() - 2e-9
    assert result.accounted(few) == pytest.approx(sizes[:few].sum() / sizes.sum())
    assert result.smallest(0.0) == 0 and result.accounted(0) == 0.0


def test_what_rounding_can_explain_is_not_among_the_strongest() -> None:
    result = a_graph()
    labels = result.graph.labels(result.ranking)
    assert result.strongest(5) == tuple(labels[:5]) and result.strongest(0) == ()
    worth = np.abs(result.share[tuple(result.ranking.T)] * result.difference)
    coarse = replace(result, provenance=replace(result.provenance, resolution=float(worth[7])))
    assert coarse.strongest(5) == tuple(labels[:5])
    assert coarse.strongest(len(labels)) == tuple(labels[:8])


def test_the_table_has_each_edges_own_numbers() -> None:
    result = a_graph()
    table = result.table()
    assert list(table["rank"]) == list(range(1, len(GRAPH) + 1))
    for row in table.itertuples():
        ((writer, reader),) = GRAPH.index([(row.writer, row.reader)]).tolist()
        measured = result.measured[:, writer, reader]
        assert row.measured is not bool(np.isnan(measured).any())
        own = result.estimated[:, writer, reader] if np.isnan(measured).any() else measured
        assert [row.brings_back, row.breaks] == own.tolist()
        assert row.effect == pytest.approx(5.0 * own[0]) and row.share == max(own, key=abs)
    assert table["measured"].sum() == 12


def test_a_percentile_counts_the_random_sets_below() -> None:
    scores = scores_of((("embed", "MLP0"),))
    found = [scores.percentile(name) for name in ("brings_back", "breaks", "faithfulness")]
    assert found == pytest.approx([100.0, 200 / 3, 100.0])
