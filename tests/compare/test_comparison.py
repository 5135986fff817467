"""Two results item by item: each by its own numbers, and what has nothing in common is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.compare import (
    Comparison,
    attribution_comparison,
    path_comparison,
    strongest_comparison,
    sweep_comparison,
)
from analysis.errors import PathscopeError
from analysis.labels import node_name
from analysis.results import ChosenPathsRequest, PathsResult, StrongestPathsRequest
from tests.chart_samples import PROVENANCE, all_sources, path
from tests.charts.test_node_maps import N_HEADS, N_LAYERS, nodes


def by_hand() -> Comparison:
    return Comparison(
        ("L0H0", "L0H1", "L1H0"),
        np.array([2.0, -1.0, 0.5]),
        np.array([0.5, -1.0, 0.75]),
        "logits",
        (0.25, 0.125),
        np.array([[0, 0], [0, 1], [1, 0]]),
        ("0", "1"),
        ("0", "1"),
    )


def some_paths(
    seed: int = 0, paths: tuple[tuple[int, ...], ...] = ((0, 1, 2, 3), (0, 0, 1, 2))
) -> PathsResult:
    return PathsResult(
        StrongestPathsRequest(path().request.experiment),
        PROVENANCE,
        corrupted_metric=-2.0,
        clean_metric=3.0,
        clean_tokens=("a",),
        corrupted_tokens=("b",),
        edges=np.array(paths),
        components=np.zeros(len(paths), dtype=int),
        effect=np.random.default_rng(seed).normal(size=len(paths)),
        n_layers=3,
        n_heads=4,
    )


def test_the_difference_is_b_minus_a_the_largest_first():
    table = by_hand().table()
    assert table["item"].tolist() == ["L0H0", "L1H0", "L0H1"]
    assert table["difference"].tolist() == [-1.5, 0.25, 0.0]
    assert table["below_resolution"].tolist() == [False, True, True], "the resolutions add up"
    assert table[["a", "b"]].to_numpy().tolist() == [[2.0, 0.5], [0.5, 0.75], [-1.0, -1.0]]


def test_the_maps_hold_each_item_in_its_place_and_zero_for_what_is_rounding():
    a, b, difference = replace(by_hand(), resolutions=(0.75, 0.0)).maps()
    assert a.tolist()[0] == [2.0, -1.0] and a[1, 0] == 0.0 and np.isnan(a[1, 1])
    assert b[1, 0] == 0.75 and difference[0].tolist() == [-1.5, 0.0] and difference[1, 0] == 0.0


def test_the_correlation_is_pearsons():
    found = by_hand()
    a, b = found.a - found.a.mean(), found.b - found.b.mean()
    assert found.correlation == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)))
    assert replace(found, b=3 * found.a + 1).correlation == pytest.approx(1.0)
    assert replace(found, b=-found.a).correlation == pytest.approx(-1.0)
    assert np.isnan(replace(found, b=np.ones(3)).correlation)
    assert np.isnan(Comparison(("x",), np.ones(1), np.zeros(1), "logits").correlation)


def test_a_result_beside_itself_differs_nowhere():
    for found in (
        attribution_comparison((nodes(), "clean", -1), (nodes(), "clean", -1)),
        path_comparison(path(), path()),
        strongest_comparison(some_paths(), some_paths(), (None, None)),
        sweep_comparison(all_sources(), all_sources()),
    ):
        assert len(found.labels) and not found.difference.any()
        assert found.correlation == pytest.approx(1.0)


def test_both_sides_exchanged_turn_the_difference_round():
    one, other = (nodes(), "clean", -1), (nodes(), "corrupted", 1)
    there, back = attribution_comparison(one, other), attribution_comparison(other, one)
    assert there.labels == back.labels and (there.difference == -back.difference).all()
    assert there.difference.any() and there.correlation == pytest.approx(back.correlation)


def test_attribution_has_every_node_that_writes_at_its_own_number_on_each_run_and_position():
    result = nodes(biases=False)
    found = attribution_comparison((result, "clean", -1), (result, "clean_minus_corrupted", 0))
    assert len(found.labels) == 1 + N_LAYERS * (N_HEADS + 1), "biases that write nothing are left out"
    clean, corrupted = result.attribution
    for label, a, b in zip(found.labels, found.a, found.b, strict=True):
        index = [node_name(name) for name in result.labels].index(label)
        assert a == clean[index, -1] and b == clean[index, 0] - corrupted[index, 0]
    assert found.columns == (*map(str, range(N_HEADS)), "MLP") and found.rows[0] == "embedding"


def test_in_the_map_a_head_stands_at_its_layer_and_number():
    found = attribution_comparison((nodes(), "clean", -1), (nodes(), "corrupted", -1))
    assert found.places is not None and found.columns[-2:] == ("MLP", "bias")
    places = dict(zip(found.labels, found.places.tolist(), strict=True))
    assert places["L2H3"] == [3, 3] and places["L1 MLP"] == [2, N_HEADS] and places["embedding"] == [0, 0]
    assert places["L0 attention bias"] == [1, N_HEADS + 1]


def test_the_paths_of_a_head_stand_by_their_destinations():
    one, other = path(), replace(path(), values=path().values + np.arange(12).reshape(3, 4))
    found = path_comparison(one, other)
    source = f"L{one.request.source_layer}H{one.request.source_head}"
    assert found.rows == ("2",) and found.unit == "logits"
    assert found.labels == tuple(f"{source} → L2H{head}.{one.request.component}" for head in range(4))
    assert found.difference == pytest.approx(np.arange(8, 12))
    assert found.a == pytest.approx(one.effect[2]), "the effect, not the metric"


def test_a_path_that_leads_on_one_side_alone_has_its_measured_effect_on_the_other():
    one, other = some_paths(0), some_paths(1, ((0, 1, 2, 3), (1, 1, 2, 2)))
    left = (
        replace(some_paths(2, ((1, 1, 2, 2),)), request=_chosen("L1H1", "L2H2.q")),
        replace(some_paths(3, ((0, 0, 1, 2),)), request=_chosen("L0H0", "L1H2.q")),
    )
    found = strongest_comparison(one, other, left)
    both = dict(zip(found.labels, zip(found.a, found.b, strict=True), strict=True))
    assert both == {
        "L0H1 → L2H3.q": (one.effect[0], other.effect[0]),
        "L0H0 → L1H2.q": (one.effect[1], left[1].effect[0]),
        "L1H1 → L2H2.q": (left[0].effect[0], other.effect[1]),
    }


def _chosen(source: str, destination: str) -> ChosenPathsRequest:
    return ChosenPathsRequest(path().request.experiment, ((source, destination),))


def test_of_sweeps_what_is_measured_in_both_is_compared():
    whole, half = all_sources(), all_sources(measured=0.5)
    found = sweep_comparison(whole, half)
    assert len(found.labels) == half.n_done < whole.n_done
    row = dict(zip(found.labels, found.a, strict=True))
    table = whole.table().set_index(["source", "destination"])["effect"]
    for label, effect in row.items():
        source, _, destination = label.partition(" → ")
        assert effect == table[source, destination.partition(".")[0]]


@pytest.mark.parametrize(
    ("compare", "told"),
    [
        (
            lambda: attribution_comparison(
                (nodes(), "clean", -1), (replace(nodes(), n_layers=30, n_heads=9), "clean", -1)
            ),
            "A has 3 layers of 4 heads, B has 30 of 9: .* Choose a model of the same shape",
        ),
        (lambda: sweep_comparison(all_sources(), all_sources(3, 5)), "B has 3 of 5"),
        (lambda: path_comparison(path(1), path(0)), "The paths begin at other heads"),
        (
            lambda: path_comparison(
                path(), replace(path(), request=replace(path().request, metric="kl_from_clean"))
            ),
            "The metrics are not the same",
        ),
        (
            lambda: sweep_comparison(
                all_sources(),
                replace(all_sources(), request=replace(all_sources().request, component="v")),
            ),
            "The paths lead into other inputs",
        ),
    ],
)
def test_what_has_nothing_in_common_is_refused_with_the_reason(compare, told):
    with pytest.raises(PathscopeError, match=told):
        compare()
