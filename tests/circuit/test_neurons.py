"""An MLP neuron by neuron: they sum to the whole, and each is what the model loses without it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis import models
from analysis.answers.compute import compute
from analysis.circuit.neurons import MOST_TOLD, MlpAt, strongest_by_any
from analysis.errors import PathscopeError, UnsupportedModelError
from analysis.results import RUNS_SHOWN, NeuronsRequest, NeuronsResult, NodeAttributionRequest
from analysis.store.store import Store
from tests.circuit.test_node import pair_of, share, uncapped
from tests.edges.reference import _run, _seen_by
from tests.experiments import on
from tests.runs import KeepFloat64, Runs, computed_in_float64

#: Biases, parallel blocks, gated MLPs, norms on the MLP's output, a multiplier on it.
SOME = ["gpt2", "pythia", "phi", "opt", "llama-grouped", "qwen3", "gemma2", "granite"]
TOLERANCE = 1e-9
LAYER, POSITION = 1, 4


def mlp_at(runs: Runs, run: str = "corrupted", position: int = POSITION) -> MlpAt:
    pair = pair_of(runs)
    gate = pair.into_clean.gate if run == "clean" else pair.into_corrupted.gate
    assert gate.decoder is not None and gate.run is not None
    return MlpAt.of(gate.decoder, gate.run, LAYER, position)


def direction_of(runs: Runs) -> Tensor:
    return (runs.model.W_U[:, 7] - runs.model.W_U[:, 11]).detach()


@pytest.mark.parametrize("run", ["clean", "corrupted"])
@pytest.mark.parametrize("family", SOME)
@torch.no_grad()
def test_neurons_and_bias_sum_to_what_the_mlp_writes(family: str, run: str) -> None:
    runs = computed_in_float64(family)
    direction = direction_of(runs)
    own = share(runs, f"MLP{LAYER}", run)[0] @ direction
    for position in (0, POSITION, -1):
        here = mlp_at(runs, run, position)
        total = here.attribution(direction).sum() + here.bias @ direction
        torch.testing.assert_close(total, here.whole @ direction, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(total, own[position], atol=TOLERANCE, rtol=0)
        assert abs(total) > 1e-4


def written_by(runs: Runs, neuron: int) -> Tensor:
    """What the stream loses when one neuron gives out nothing; a norm on the MLP's output is held."""
    block, name = runs.model.blocks[LAYER], f"blocks.{LAYER}"
    post = getattr(block, "ln2_post", None)
    found: list[Tensor] = []
    place = f"{name}.{'mlp' if post is None else 'ln2_post'}.hook_out"
    read = (place, lambda value, hook: found.append(value.clone()))

    def silence(value: Tensor, hook: object) -> Tensor:
        return value.index_fill(-1, torch.tensor([neuron]), 0.0)

    nothing = torch.zeros_like(runs.corrupted_cache[f"{name}.hook_resid_pre"])
    for hooks in ([read], [(f"{name}.mlp.out.hook_in", silence), read]):
        held = nullcontext() if post is None else _seen_by(post, f"{name}.ln2_post", nothing, runs, "frozen")
        with held:
            _run(runs, *hooks)
    scale = getattr(block, "residual_contribution_scale", 1.0)
    return (found[0] - found[1]).view(nothing.shape) * scale


@pytest.mark.parametrize("family", SOME)
def test_what_a_neuron_writes_is_what_the_model_loses_without_it(family: str) -> None:
    """The model itself runs without the neuron, and its final norm, held at its scale, without its write."""
    runs = computed_in_float64(family)
    with torch.no_grad():
        here = mlp_at(runs)
        ours = here.attribution(direction_of(runs))
    for neuron in np.argsort(-np.abs(ours.numpy()))[[0, 1, 5]].tolist():
        with KeepFloat64(), torch.no_grad():
            write = written_by(runs, neuron)
            whole = uncapped(_run(runs), runs.model)
            with _seen_by(runs.model.ln_final, "ln_final", -write, runs, "frozen"):
                lost = (whole - uncapped(_run(runs), runs.model))[0, POSITION]
            told = here.per_activation(torch.tensor([neuron]))[0] @ runs.model.W_U
        torch.testing.assert_close(ours[neuron], lost[7] - lost[11], atol=1e-8, rtol=0)
        torch.testing.assert_close(told * here.hidden[neuron], lost, atol=1e-8, rtol=0)
        assert abs(ours[neuron]) > 1e-4


@pytest.mark.parametrize("family", SOME)
@torch.no_grad()
def test_activations_are_those_that_transformer_lens_reads_off_the_model(family: str) -> None:
    runs = computed_in_float64(family)
    own = runs.corrupted_cache[f"blocks.{LAYER}.mlp.out.hook_in"]
    own = own.view(*runs.corrupted_tokens.shape, -1)[0, POSITION]
    torch.testing.assert_close(mlp_at(runs).hidden, own, atol=TOLERANCE, rtol=0)


def test_the_strongest_of_each_run_and_of_the_difference_are_told() -> None:
    attribution = np.zeros((2, 100))
    attribution[:, :3] = 5.0  # strong on both runs
    attribution[0, 50:90], attribution[1, 50:90] = 1.0, -1.0  # by the difference alone
    attribution[0, 10:40] = 1.5
    told = strongest_by_any(attribution)
    assert {0, 1, 2, 10, 50} <= {*told.tolist()} and (np.diff(told) > 0).all()
    assert len(told) <= 3 * MOST_TOLD
    assert strongest_by_any(np.ones((2, 5))).tolist() == [0, 1, 2, 3, 4]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store.open(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def ask(family_directory, store) -> Callable[..., NeuronsResult]:
    def asked(node: str = "MLP1", position: int = -1, family: str = "llama-grouped") -> NeuronsResult:
        return compute(NeuronsRequest(on(family_directory(family)), node, position), store)

    return asked


@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "gemma2"])
def test_a_result_tells_both_runs_in_their_order(family: str, ask, store) -> None:
    result = ask("MLP1", 3, family)
    nodes = compute(NodeAttributionRequest(result.request.experiment), store)
    np.testing.assert_allclose(result.whole, nodes.attribution[:, nodes.node("MLP1"), 3], atol=1e-5)
    for run in RUNS_SHOWN:
        neurons, bias, whole = result.sums(run)
        assert neurons + bias == pytest.approx(whole, abs=1e-5)
        assert whole == pytest.approx(nodes.shown(run)[nodes.node("MLP1"), 3], abs=1e-5)
    bridge = models.load(result.request.experiment.model).bridge
    prompts = (result.request.experiment.clean, result.request.experiment.corrupted)
    own = [bridge.run_with_cache(text)[1]["blocks.1.mlp.out.hook_in"][0, 3].detach() for text in prompts]
    np.testing.assert_allclose(result.activation, torch.stack(own), atol=1e-5)
    assert np.abs(result.activation[0] - result.activation[1]).max() > 1e-3


@pytest.mark.parametrize("run", RUNS_SHOWN)
def test_a_table_has_every_neuron_the_strongest_first_with_its_tokens(run: str, ask) -> None:
    result = ask()
    table = result.table(run)
    assert sorted(table["neuron"]) == sorted(result.labels) and result.labels[3] == "L1N3"
    assert (np.diff(table[run].abs()) <= 0).all()
    np.testing.assert_array_equal(table["clean_minus_corrupted"], table["clean"] - table["corrupted"])
    assert (table["below_resolution"] == (table[run].abs() < result.provenance.resolution)).all()
    assert table["promotes"].head(MOST_TOLD).str.len().min() > 0
    assert result.table(run, 5).equals(table.head(5))


def test_promoted_tokens_are_those_of_the_output_weights(ask) -> None:
    result = ask("MLP1", -1, "llama-grouped")
    bridge = models.load(result.request.experiment.model).bridge
    _, cache = bridge.run_with_cache(result.request.experiment.clean)
    scale = cache["ln_final.hook_scale"][0, -1].detach()
    for row, neuron in enumerate(result.told.tolist()):
        own = (bridge.blocks[1].mlp.W_out[neuron] / scale @ bridge.W_U).detach()
        np.testing.assert_allclose(result.promotion[row], own[result.promoted_ids[row]], atol=1e-5)
        assert result.promotion[row, 0] == pytest.approx(float(own.max()), abs=1e-5)
        assert result.promotion[row, -1] == pytest.approx(float(own.min()), abs=1e-5)
        ids = torch.from_numpy(result.promoted_ids[row])
        assert list(result.promoted_tokens[row]) == list(bridge.to_str_tokens(ids))
    first = result.strongest("clean")[0]
    texts = result.promoted_tokens[result.told.tolist().index(first)]
    row = result.table("clean", 1).iloc[0]
    assert row["promotes"].startswith(repr(texts[0])) and row["suppresses"].startswith(repr(texts[-1]))


@pytest.mark.parametrize(
    ("node", "position", "told"),
    [
        ("L1H2", -1, "L1H2 is no MLP, and neurons are parts of MLPs. Choose one from 'MLP0' to 'MLP2'."),
        ("embed", -1, "embed is no MLP"),
        ("MLP9", -1, "The model has no 'MLP9'"),
        ("MLP1", 99, "There is no position 99"),
    ],
)
def test_what_there_is_not_is_told(node: str, position: int, told: str, ask) -> None:
    with pytest.raises(PathscopeError, match=told):
        ask(node, position)


def test_a_run_that_there_is_not_is_told(ask) -> None:
    with pytest.raises(PathscopeError, match=r"no run 'patched'\. Choose from clean, corrupted, clean_minus"):
        ask().table("patched")


@pytest.mark.parametrize("family", ["mixtral", "bloom"])
def test_of_a_model_that_is_not_replayed_the_neurons_are_not_seen(family: str, ask) -> None:
    with pytest.raises(UnsupportedModelError, match="The neurons of this model cannot be seen"):
        ask(family=family)


def test_identical_prompts_have_neurons_too(family_directory, store) -> None:
    asked: Any = on(family_directory("gpt2"), corrupted=" a b c d e f")
    result = compute(NeuronsRequest(asked, "MLP1"), store)
    assert not result.shown("clean_minus_corrupted").any() and result.shown("clean").any()


def test_stored_and_read_back_it_is_the_same(ask) -> None:
    result = ask()
    again = NeuronsResult.from_parts(result.request, *result.parts())
    assert all(again.table(run).equals(result.table(run)) for run in RUNS_SHOWN)
