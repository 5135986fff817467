"""One node from near: its attention, its write and an edge into it, by hooks on the model itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis import direct_logit_attribution, models
from analysis.answers.compute import compute
from analysis.circuit.node import attention_patterns, by_source_token, direct_share, edges_into, extremes
from analysis.circuit.pair import Pair
from analysis.errors import PathscopeError
from analysis.metrics import LogitDifference
from analysis.results import (
    AttributionRequest,
    EdgeSetsRequest,
    NodeRequest,
    NodeResult,
)
from analysis.store.store import Store
from tests.configurations import FAMILIES
from tests.edges.reference import _run, _seen_by, _write, written_difference
from tests.experiments import on
from tests.reference import pattern_with
from tests.runs import KeepFloat64, Runs, computed_in_float64

METRIC = LogitDifference(7, 11)
#: Grouped keys, windows, q/k norms, softcaps and post-norms, parallel blocks, biases.
SOME = ["gpt2", "pythia", "llama-grouped", "mistral", "qwen3", "gemma2"]
HEADS = ["L0H1", "L1H2", "L2H3"]
TOLERANCE = 1e-9


def pair_of(runs: Runs) -> Pair:
    return Pair.of(runs.model, runs.clean_tokens, runs.corrupted_tokens, METRIC)


@torch.no_grad()
def patterns(runs: Runs, node: str, edge: tuple[str, str] | None = None) -> np.ndarray:
    pair = pair_of(runs)
    return attention_patterns(pair, pair.graph.writer(node), edges_into(pair.graph, node, edge))


@torch.no_grad()
def share(runs: Runs, node: str, run: str = "corrupted") -> Tensor:
    pair = pair_of(runs)
    gate = pair.into_clean.gate if run == "clean" else pair.into_corrupted.gate
    return direct_share(gate, pair.graph.writer(node))


def of_head(node: str) -> tuple[int, int]:
    layer, head = node[1:].split("H")
    return int(layer), int(head)


@pytest.mark.parametrize("family", FAMILIES)
def test_patterns_are_those_that_transformer_lens_reads_off_the_model(family: str) -> None:
    runs = computed_in_float64(family)
    for node in HEADS:
        layer, head = of_head(node)
        own = [
            cache[f"blocks.{layer}.attn.hook_pattern"][:, head].numpy()
            for cache in (runs.clean_cache, runs.corrupted_cache)
        ]
        found = patterns(runs, node)
        np.testing.assert_allclose(found, own, atol=TOLERANCE)
        assert np.abs(found[0] - found[1]).max() > 1e-3 or layer == 0


@pytest.mark.parametrize("component", ["q", "k", "v"])
@pytest.mark.parametrize("family", SOME)
def test_a_patched_pattern_is_what_hooks_on_the_model_make_of_it(family: str, component: str) -> None:
    runs = computed_in_float64(family)
    for writer, node in (("embed", "L1H2"), ("L0H1", "L2H3"), ("MLP1", "L2H1")):
        layer, head = of_head(node)
        with KeepFloat64():
            theirs = pattern_with(runs, written_difference(runs, writer), layer, head, component).numpy()
        _, corrupted, patched = patterns(runs, node, (writer, f"{node}.{component}"))
        np.testing.assert_allclose(patched, theirs, atol=TOLERANCE)
        if component == "v":
            np.testing.assert_array_equal(patched, corrupted)
        else:
            assert np.abs(patched - corrupted).max() > 1e-4


def uncapped(logits: Tensor, model: Any) -> Tensor:
    cap = getattr(model.cfg, "output_logits_soft_cap", None) or 0.0
    return cap * torch.atanh(logits / cap) if cap > 0 else logits


@pytest.mark.parametrize("node", ["embed", "L0H1", "L2H3", "MLP1"])
@pytest.mark.parametrize("family", SOME)
def test_what_a_write_promotes_is_what_the_model_loses_without_it(family: str, node: str) -> None:
    """The final norm is handed a stream without the write, and held at its scale; the model does the rest."""
    runs = computed_in_float64(family)
    with KeepFloat64(), torch.no_grad():
        write = _write(runs, runs.corrupted_cache, node)
        whole = uncapped(_run(runs), runs.model)
        with _seen_by(runs.model.ln_final, "ln_final", -write, runs, "frozen"):
            effect = (whole - uncapped(_run(runs), runs.model))[0]
        ids, logits = extremes(share(runs, node)[0], runs.model.W_U)
    assert ids.shape == (len(effect), 20)
    np.testing.assert_allclose(logits, np.take_along_axis(effect.numpy(), ids, axis=1), atol=1e-8)
    ordered = np.sort(effect.numpy(), axis=1)[:, ::-1]
    np.testing.assert_allclose(logits, np.concatenate([ordered[:, :10], ordered[:, -10:]], 1), atol=1e-8)


@pytest.mark.parametrize("family", ["llama-grouped", "mistral", "qwen3", "gemma2"])
def test_all_nodes_together_write_the_logits_of_a_model_without_biases(family: str) -> None:
    runs = computed_in_float64(family)
    with KeepFloat64(), torch.no_grad():
        own = uncapped(_run(runs), runs.model) - runs.model.b_U
    nodes = pair_of(runs).graph.writers
    total = torch.stack([share(runs, node) @ runs.model.W_U for node in nodes]).sum(0)
    torch.testing.assert_close(total, own, atol=1e-8, rtol=0)
    assert float(own.abs().max()) > 0.1


@pytest.mark.parametrize("run", ["clean", "corrupted"])
@pytest.mark.parametrize("family", SOME)
def test_its_value_is_that_of_direct_logit_attribution(family: str, run: str) -> None:
    runs = computed_in_float64(family)
    direction = runs.model.W_U[:, 7] - runs.model.W_U[:, 11]
    tokens = {"clean": runs.clean_tokens, "corrupted": runs.corrupted_tokens}[run]
    theirs: dict[str, Tensor] = {}
    for unit in ("head", "component"):
        parts = direct_logit_attribution(runs.model, tokens, 7, 11, unit=unit, pos=None)
        theirs |= dict(zip(parts.labels, parts.attribution, strict=True))
    expected = {node: theirs[node] for node in HEADS} | {"MLP1": theirs["1_mlp_out"]}
    expected["embed"] = theirs["embed"] + theirs.get("pos_embed", torch.zeros(()))
    for node, value in expected.items():
        torch.testing.assert_close(share(runs, node, run) @ direction, value, atol=1e-9, rtol=0)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store.open(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def ask(family_directory, store) -> Callable[..., NodeResult]:
    def asked(node: str, edge: tuple[str, str] | None = None, family: str = "llama-grouped") -> NodeResult:
        return compute(NodeRequest(on(family_directory(family)), node, edge), store)

    return asked


@pytest.mark.parametrize("family", ["gpt2", "llama-grouped", "gemma2"])
def test_a_result_tells_both_runs_in_their_order(family: str, ask, store) -> None:
    result = ask("L1H2", ("L0H1", "L1H2.k"), family)
    experiment = result.request.experiment
    for run, own in zip(("clean", "corrupted"), result.answer_minus_foil, strict=True):
        parts = compute(AttributionRequest(experiment, "head", run), store)
        np.testing.assert_allclose(own, parts.attribution[parts.labels.index("L1H2")], atol=1e-5)
    assert result.runs == ("clean", "corrupted", "patched")
    clean, corrupted, patched = result.attention
    np.testing.assert_array_equal(result.pattern("clean_minus_corrupted"), clean - corrupted)
    np.testing.assert_array_equal(result.pattern("patched_minus_corrupted"), patched - corrupted)
    np.testing.assert_array_equal(result.pattern("patched"), patched)
    np.testing.assert_allclose(result.attention.sum(-1), 1, atol=1e-5)
    assert result.tokens("clean") == result.clean_tokens != result.corrupted_tokens
    assert result.tokens("patched") == result.tokens("patched_minus_corrupted") == result.corrupted_tokens


def test_an_edge_is_worth_what_it_brings_back_and_breaks_as_a_set_of_one(ask, store) -> None:
    edge = ("embed", "L1H2.v")
    result = ask("L1H2", edge)
    alone = compute(EdgeSetsRequest(result.request.experiment, ((edge,),)), store)
    expected = [alone.brings_back[0], alone.breaks[0]]
    np.testing.assert_allclose(result.edge_worth, expected, rtol=1e-3, atol=1e-6)
    assert abs(expected[0] - expected[1]) > 1e-3
    assert np.isnan(ask("L1H2").edge_worth).all()


def test_promoted_tokens_are_told_by_their_text_for_both_writes(ask) -> None:
    result = ask("MLP1")
    both = [result.promoted(-1, read) for read in ("clean", "clean_minus_corrupted")]
    bridge = models.load(result.request.experiment.model).bridge
    for table in both:
        assert table["token"].tolist() == list(bridge.to_str_tokens(torch.tensor(table["id"].tolist())))
        assert (np.diff(table["logits"]) <= 0).all()
    clean, corrupted = (bridge.run_with_cache(t)[1] for t in tokens_of(result, bridge))
    effect = [
        cache["blocks.1.hook_mlp_out"][0, -1] / cache["ln_final.hook_scale"][0, -1] @ bridge.W_U
        for cache in (clean, corrupted)
    ]
    for table, told in zip(both, (effect[0], effect[0] - effect[1]), strict=True):
        np.testing.assert_allclose(table["logits"], told[table["id"].tolist()].detach(), atol=1e-5)
        assert table["logits"].iloc[0] == pytest.approx(float(told.max()), abs=1e-5)
        assert table["logits"].iloc[-1] == pytest.approx(float(told.min()), abs=1e-5)


def tokens_of(result: NodeResult, bridge: Any) -> list[Tensor]:
    experiment = result.request.experiment
    prompts = [bridge.to_tokens(text) for text in (experiment.clean, experiment.corrupted)]
    assert prompts[0].shape[1] == len(result.clean_tokens)
    return prompts


@pytest.mark.parametrize("node", ["MLP1", "embed"])
def test_what_is_no_head_attends_to_nothing(node: str, ask) -> None:
    result = ask(node)
    n_positions = len(result.clean_tokens)
    assert result.attention.shape == (0, n_positions, n_positions) and result.patterns == ()
    with pytest.raises(PathscopeError, match=f"{node} has no attention pattern 'clean'. Choose a head"):
        result.pattern("clean")


def test_without_an_edge_nothing_is_patched(ask) -> None:
    result = ask("L1H2")
    assert result.patterns == ("clean", "corrupted", "clean_minus_corrupted")
    with pytest.raises(PathscopeError, match=r"no attention pattern 'patched'.*or ask for an edge into it"):
        result.pattern("patched")


def test_an_edge_into_an_mlp_is_worth_something_too(ask) -> None:
    result = ask("MLP1", ("embed", "MLP1"))
    assert np.abs(result.edge_worth).min() > 1e-4 and result.runs == ()


@pytest.mark.parametrize(
    ("node", "edge", "told"),
    [
        ("L9H0", None, r"no 'L9H0' that writes.*'embed'.*'L0H0' to 'L2H3'.*'MLP0' to 'MLP2'"),
        ("L1H2.q", None, "no 'L1H2.q' that writes"),
        ("logits", None, "no 'logits' that writes"),
        ("L1H2", ("L0H1", "L1H3.q"), r"from L0H1 to L1H3\.q does not lead into L1H2: give one with L1H2"),
        ("L1H2", ("L0H1", "MLP1"), "from L0H1 to MLP1 does not lead into L1H2"),
        ("L1H2", ("L2H1", "L1H2.q"), r"no path from L2H1 to L1H2\.q"),
        ("L1H2", ("L7H1", "L1H2.q"), "L7H1"),
        ("embed", ("L0H1", "MLP1"), "does not lead into embed: nothing leads into the embedding"),
    ],
)
def test_what_there_is_not_is_told(node: str, edge: tuple[str, str] | None, told: str, ask) -> None:
    with pytest.raises(PathscopeError, match=told):
        ask(node, edge)


def test_a_position_that_the_prompt_does_not_have_is_told(ask) -> None:
    with pytest.raises(PathscopeError, match="There is no position 99"):
        ask("embed").promoted(99)


def test_stored_and_read_back_it_is_the_same(ask) -> None:
    result = ask("L1H2", ("L0H1", "L1H2.k"))
    again = NodeResult.from_parts(result.request, *result.parts())
    assert again.promoted_tokens == result.promoted_tokens and again.patterns == result.patterns
    assert again.promoted(0, "clean_minus_corrupted").equals(result.promoted(0, "clean_minus_corrupted"))


def split_by_token(runs: Runs, node: str) -> tuple[np.ndarray, Tensor]:
    """The split of a head's write, and what it writes in all, along one direction."""
    pair = pair_of(runs)
    writer, direction = pair.graph.writer(node), runs.model.W_U[:, 7] - runs.model.W_U[:, 11]
    with torch.no_grad():
        whole = direct_share(pair.into_corrupted.gate, writer)[0] @ direction
        return by_source_token(pair.into_corrupted.gate, writer, direction), whole


@pytest.mark.parametrize("family", SOME)
@pytest.mark.parametrize("node", HEADS)
def test_what_a_head_writes_is_the_sum_over_the_tokens_that_it_reads(family: str, node: str) -> None:
    split, whole = split_by_token(computed_in_float64(family), node)
    np.testing.assert_allclose(split.sum(axis=1), whole, rtol=0, atol=TOLERANCE * float(whole.abs().max()))
    assert not split[np.triu_indices(len(split), 1)].any()
    assert (np.abs(split[-1]) > 1e-3 * np.abs(split).max()).sum() > 1


@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama-grouped", "mistral"])
def test_the_part_of_one_token_is_what_the_model_loses_without_that_value(family: str) -> None:
    """The final norm is handed a stream without what one token's value adds; the model does the rest."""
    runs = computed_in_float64(family)
    split, _ = split_by_token(runs, "L1H2")
    model, cache, key = runs.model, runs.corrupted_cache, 2
    values = cache["blocks.1.attn.hook_v"]
    value = values[:, key, 2 // (model.cfg.n_heads // values.shape[2])]
    weight = cache["blocks.1.attn.hook_pattern"][:, 2, :, key]
    with KeepFloat64(), torch.no_grad():
        write = weight[..., None] * (value @ model.W_O[1, 2])[:, None]
        whole = _run(runs)
        with _seen_by(model.ln_final, "ln_final", -write, runs, "frozen"):
            lost = (whole - _run(runs))[0]
    np.testing.assert_allclose(split[:, key], (lost[:, 7] - lost[:, 11]).numpy(), atol=1e-8)


def test_an_mlp_reads_no_tokens() -> None:
    assert split_by_token(computed_in_float64("gpt2"), "MLP1")[0].size == 0
