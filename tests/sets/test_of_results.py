"""Results of several prompts brought together: the very numbers of each, and what is still to be measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.answers.compute import compute
from analysis.errors import PathscopeError
from analysis.labels import node_name
from analysis.models import DEMO
from analysis.requests import HEAD_INPUTS, Experiment
from analysis.results import (
    AllSourcesRequest,
    ChosenPathsRequest,
    NodeAttributionRequest,
    PathsResult,
    StrongestPathsRequest,
)
from analysis.sets import READY_KINDS, node_agreement, path_agreement, paths_left, paths_to_compare
from analysis.store import Store
from tests.chart_samples import PROVENANCE

ASKED = READY_KINDS["drinks"].first.on(DEMO)
ANOTHER = READY_KINDS["balls"].first.on(DEMO)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store.open(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("layer_norm", ["frozen", "exact"])
def test_chosen_paths_are_those_of_the_sweeps_in_the_order_that_was_asked(store, layer_norm):
    paths = (("L1H2", "L3H0.v"), ("L0H7", "L2H5.q"), ("L0H7", "L2H5.k"))
    found = compute(ChosenPathsRequest(ASKED, paths, layer_norm), store)
    assert found.labels == paths
    places = [("v", 1, 2, 3, 0), ("q", 0, 7, 2, 5), ("k", 0, 7, 2, 5)]
    for (component, *place), effect in zip(places, found.effect, strict=True):
        swept = compute(AllSourcesRequest(ASKED, component, layer_norm), store)
        assert effect == pytest.approx(swept.values[*place] - swept.corrupted_metric, abs=1e-4)
    assert np.ptp(found.effect) > 1e-3
    assert found.request.measured_paths(4, 8, 15) == 3


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("embed", "L1H0.v"), "from embed to L1H0.v is not one between heads"),
        (("L0H0", "MLP1"), "from L0H0 to MLP1 is not one between heads"),
        (("L1H0", "L0H0.v"), "There is no path from L1H0 to L0H0.v"),
        (("L9H0", "L0H0.v"), "no 'L9H0'"),
    ],
)
def test_what_is_no_path_between_heads_is_refused(store, path, said):
    with pytest.raises(PathscopeError, match=said):
        compute(ChosenPathsRequest(ASKED, (("L0H0", "L1H0.v"), path)), store)


def paths(effects: dict[int, float], resolution: float | None = None) -> PathsResult:
    """Paths from heads of layer 0 into the value of L1H0, by the source's head."""
    return PathsResult(
        StrongestPathsRequest(Experiment("demo", "a", "b", " x", " y")),
        replace(PROVENANCE, resolution=resolution),
        corrupted_metric=-1.0,
        clean_metric=3.0,
        clean_tokens=("a",),
        corrupted_tokens=("b",),
        edges=np.array([[0, head, 1, 0] for head in effects]),
        components=np.full(len(effects), HEAD_INPUTS.index("v")),
        effect=np.array([*effects.values()]),
        n_layers=2,
        n_heads=20,
    )


def test_the_paths_to_compare_are_the_strongest_of_each_prompt_and_what_is_missing_is_told():
    one = paths({head: 20.0 - head for head in range(12)})
    other = paths({head: -1.0 - head for head in range(15, 3, -1)})
    union = paths_to_compare([one, other])
    heads = [int(source.removeprefix("L0H")) for source, _ in union]
    assert heads == [*range(10), *range(15, 9, -1)]
    assert [source for source, _ in paths_left(one, union)] == ["L0H15", "L0H14", "L0H13", "L0H12"]
    assert [source for source, _ in paths_left(other, union)] == ["L0H0", "L0H1", "L0H2", "L0H3"]


def test_every_path_has_its_own_effect_in_every_prompt():
    one = paths({head: 20.0 - head for head in range(10)}, resolution=0.5)
    other = paths({0: 4.0, 11: -9.0})
    left = paths({11: 0.25}), paths({head: head / 100 for head in range(1, 10)})
    found = path_agreement([one, other], left)
    by_label = dict(zip(found.labels, found.effect.T.tolist(), strict=True))
    assert by_label["L0H0 → L1H0.v"] == [20.0, 4.0]
    assert by_label["L0H3 → L1H0.v"] == [17.0, 0.03]
    assert by_label["L0H11 → L1H0.v"] == [0.25, -9.0]
    column = found.labels.index("L0H11 → L1H0.v")
    assert found.strongest[:, column].tolist() == [False, True]
    assert found.below_resolution[:, column].tolist() == [True, False]
    assert found.whole.tolist() == [4.0, 4.0]


def test_nodes_have_their_own_attribution_at_the_last_token_of_the_run_that_is_shown(store):
    results = [compute(NodeAttributionRequest(asked), store) for asked in (ASKED, ANOTHER)]
    for run in ("clean", "clean_minus_corrupted"):
        found = node_agreement(results, run)
        assert "L2 MLP" in found.labels and "L3H7" in found.labels
        for prompt, result in enumerate(results):
            own = dict(zip(map(node_name, result.labels), result.shown(run)[:, -1].tolist(), strict=True))
            assert dict(zip(found.labels, found.effect[prompt].tolist(), strict=True)).items() <= own.items()
            assert found.whole[prompt] == result.whole(run)[-1]
            largest = max(own, key=lambda label: abs(own[label]))
            assert found.strongest[prompt, found.labels.index(largest)]
