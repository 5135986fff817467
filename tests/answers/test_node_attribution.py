"""Attribution by node: parts make the whole, and each is what the replay of the model says of it alone."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.answers.compute import compute
from analysis.errors import PathscopeError
from analysis.results import NodeAttributionRequest, NodeAttributionResult, NodeRequest
from analysis.store.store import Store
from tests.experiments import on

FAMILIES = ["gpt2", "pythia", "llama-grouped", "gemma2"]


@pytest.fixture(params=FAMILIES)
def asked(request, family_directory, tmp_path) -> tuple[NodeAttributionResult, Store]:
    store = Store.open(tmp_path)
    return compute(NodeAttributionRequest(on(family_directory(request.param))), store), store


def test_all_nodes_add_up_to_the_models_own_logit_difference_on_both_runs(asked):
    found, _ = asked
    own = found.logit_difference - found.bias_difference
    np.testing.assert_allclose(
        found.attribution.sum(axis=1), own, atol=1e-4 * np.abs(found.attribution).max()
    )
    difference = found.shown("clean_minus_corrupted")
    np.testing.assert_array_equal(difference, found.attribution[0] - found.attribution[1])
    np.testing.assert_array_equal(
        found.whole("clean_minus_corrupted"), found.logit_difference[0] - found.logit_difference[1]
    )
    assert np.abs(difference).max() > 1e-3


@pytest.mark.parametrize("node", ["embed", "L0H1", "L1H2", "MLP0", "MLP1"])
def test_each_node_is_what_its_own_write_says_under_the_final_norm(asked, node: str):
    found, store = asked
    alone = compute(NodeRequest(found.request.experiment, node), store).answer_minus_foil
    ours = found.attribution[:, found.node(node)]
    np.testing.assert_allclose(ours, alone, atol=1e-4 * np.abs(found.attribution).max())


def test_the_map_has_every_node_in_its_place(asked):
    found, _ = asked
    layers = found.by_layer("corrupted", -1)
    assert layers.shape == (found.n_layers, found.n_heads + 2)
    last = found.attribution[1, :, -1]
    assert layers[1, 2] == last[found.node("L1H2")] and layers[1, -1] == last[found.node("MLP1")]
    assert layers[0, -2] == last[found.node("bias0")]
    table = found.table("corrupted", -1)
    assert table["attribution"].sum() == pytest.approx(last.sum())
    assert table.set_index("node")["name"]["MLP1"] == "L1 MLP"
    assert ("bias0" in set(table["node"])) == bool(found.attribution[1, found.node("bias0")].any())
    with pytest.raises(PathscopeError, match="no 'L9H9'"):
        found.node("L9H9")
