"""What is asked wrongly, or of a model that somebody works on, gets a sentence with a way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from analysis.edges import edge_effects, edge_estimates, residual_graph
from analysis.errors import MetricError, PathscopeError, PromptError, UnsupportedModelError
from analysis.requests import LAYER_NORM_MODES
from tests.edges.reference import true_effects
from tests.reference import FLOAT64_TOLERANCE
from tests.runs import Runs, family_model, family_runs, last_logit_difference, run_pair
from tests.sweep.support import models_of_this_release

EDGES = [("L0H1", "L1H0.q"), ("MLP0", "MLP1"), ("embed", "logits")]
BETWEEN_HEADS = [("L0H1", "L1H0.q"), ("L0H0", "L2H1.k"), ("L1H1", "L2H0.v"), ("L0H3", "L2H1.k")]


def effects(runs: Runs, edges=EDGES, metric=last_logit_difference, **options) -> torch.Tensor:
    return edge_effects(runs.model, runs.corrupted_tokens, runs.clean_tokens, edges, metric, **options)


def estimates(runs: Runs, edges=(), metric=last_logit_difference, **options) -> torch.Tensor:
    """Of all edges at once: `edges` are not asked."""
    return edge_estimates(runs.model, runs.corrupted_tokens, runs.clean_tokens, metric, **options)


either = pytest.mark.parametrize("ask", [effects, estimates])


@pytest.mark.parametrize(
    ("edge", "sentence"),
    [
        (("L9H0", "logits"), "no 'L9H0' at this end.*Writers are 'embed' to 'MLP2', readers 'L0H0.q' to"),
        (("L0H0", "L1H0.z"), "no 'L1H0.z'"),
        (("L1H0", "L1H1.q"), "no path from L1H0 to L1H1.q: L1H1.q reads .* before L1H0 writes"),
        (("MLP2", "MLP2"), "no path from MLP2 to MLP2"),
        ("L0H0", "'L0H0' is no edge; give the labels of a writer and a reader, such as"),
        (("L0H0", "L1H0.q", 3), "is no edge"),
    ],
    ids=str,
)
def test_places_and_paths_that_do_not_exist(edge, sentence):
    with pytest.raises(PathscopeError, match=sentence):
        effects(family_runs("gpt2"), [("embed", "logits"), edge])


def test_a_parallel_block_has_no_path_from_a_head_to_its_own_mlp():
    assert effects(family_runs("gpt2"), [("L1H0", "MLP1")]).shape == (1,)
    with pytest.raises(PathscopeError, match="no path from L1H0 to MLP1"):
        effects(family_runs("pythia"), [("L1H0", "MLP1")])


@either
@pytest.mark.parametrize(
    "cut", [(slice(None), slice(0, 8)), (slice(0, 1), slice(None))], ids=["shorter", "fewer"]
)
def test_prompts_of_another_shape(ask, cut):
    runs = family_runs("gpt2")
    other = run_pair(runs.model, runs.clean_tokens[cut], runs.clean_tokens[cut]).clean_tokens
    changed = Runs(runs.model, other, runs.corrupted_tokens, {}, {})
    with pytest.raises(PromptError, match=r"are \[2, 9\] and the others \[\d, \d\].*use as many prompts"):
        ask(changed)


@either
@pytest.mark.parametrize("mode", ["Frozen", "", None, True])
def test_an_unknown_norm_mode(ask, mode):
    with pytest.raises(PathscopeError, match=r"layer_norm.*(exact|frozen)"):
        ask(family_runs("gpt2"), layer_norm=mode)


@pytest.mark.parametrize("points", [0, -1, 2.0, True, None, "5"])
def test_points_must_be_a_whole_number_from_one(points):
    with pytest.raises(PathscopeError, match=r"points is .*whole number from 1"):
        estimates(family_runs("gpt2"), points=points)


@either
@pytest.mark.parametrize("budget", [1, 0, -5])
def test_a_budget_that_no_row_fits_into(ask, budget):
    with pytest.raises(PathscopeError, match=r"One patched row needs .* MiB, more than .* shorter prompts"):
        ask(family_runs("gpt2"), memory_bytes=budget)


@either
@pytest.mark.parametrize("budget", [1.5, "1", True])
def test_a_budget_that_is_no_number_of_bytes(ask, budget):
    with pytest.raises(PathscopeError, match=f"memory_bytes is {budget!r}, .* whole number of bytes"):
        ask(family_runs("gpt2"), memory_bytes=budget)


@either
def test_something_that_is_no_language_model(ask):
    runs = family_runs("gpt2")
    with pytest.raises(PathscopeError):
        ask(Runs(torch.nn.Linear(2, 2), runs.clean_tokens, runs.corrupted_tokens, {}, {}))
    with pytest.raises(PathscopeError):
        residual_graph("gpt2")


@either
def test_a_metric_that_is_not_one_finite_number(ask):
    runs = family_runs("gpt2")
    for metric in (lambda logits: logits[:, -1, 7], lambda logits: logits.sum() * float("nan"), "accuracy"):
        with pytest.raises(MetricError):
            ask(runs, metric=metric)


@pytest.mark.parametrize(
    "metric",
    [
        lambda logits: float(logits[:, -1, 7].detach().mean()),
        lambda logits: logits[:, -1, 7].detach().mean(),
        lambda logits: (logits[:, -1, 7] > logits[:, -1, 11]).double().mean(),
    ],
    ids=["a float", "detached", "steps"],
)
def test_a_metric_without_a_gradient_is_measured_and_not_estimated(metric):
    runs = family_runs("gpt2")
    true = true_effects(
        runs, EDGES, lambda logits: torch.as_tensor(metric(logits), dtype=torch.float64), "exact"
    )
    found = effects(runs, metric=metric)
    assert (found - true).abs().max() <= FLOAT64_TOLERANCE
    for options in ({}, {"points": 3}):
        with pytest.raises(
            MetricError, match=r"estimate differentiates the metric.*measured sweep takes any number"
        ):
            estimates(runs, metric=metric, **options)


@contextmanager
def steered(runs: Runs) -> Iterator[Runs]:
    """`runs` with somebody's hook on the second layer, which nothing else shares."""
    name = "blocks.1.hook_out"
    runs.model.add_hook(name, lambda stream, hook: 1.3 * stream + 0.1)
    try:
        yield run_pair(runs.model, runs.clean_tokens, runs.corrupted_tokens)
    finally:
        runs.model.reset_hooks()


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
def test_beside_a_hook_paths_between_heads_run_through_the_model_as_it_is(layer_norm):
    model = family_model.__wrapped__("gpt2")
    plain = family_runs("gpt2")
    plain = run_pair(model, plain.clean_tokens, plain.corrupted_tokens)
    before = effects(plain, BETWEEN_HEADS, layer_norm=layer_norm)
    with steered(plain) as runs:
        true = true_effects(runs, BETWEEN_HEADS, last_logit_difference, layer_norm)
        found = effects(runs, BETWEEN_HEADS[::-1], layer_norm=layer_norm)
    assert (found.flip(0) - true).abs().max() <= FLOAT64_TOLERANCE * true.abs().max()
    assert (true - before).abs().max() > 0.01 * true.abs().max()
    assert torch.equal(effects(plain, BETWEEN_HEADS, layer_norm=layer_norm), before)


@pytest.mark.parametrize(
    "edge", [("MLP0", "MLP1"), ("embed", "L1H0.q"), ("L0H1", "logits"), ("L0H1", "MLP2")]
)
def test_beside_a_hook_other_edges_are_refused_with_a_way_out(edge):
    model = family_model.__wrapped__("gpt2")
    plain = family_runs("gpt2")
    with steered(run_pair(model, plain.clean_tokens, plain.corrupted_tokens)) as runs:
        with pytest.raises(UnsupportedModelError) as refusal:
            effects(runs, [*BETWEEN_HEADS, edge])
        with pytest.raises(UnsupportedModelError, match=r"no estimate beside hooks.*reset_hooks"):
            estimates(runs)
    for part in (f"{edge[0]} -> {edge[1]}", "hook_out", "model.reset_hooks()", "Paths between heads"):
        assert part in str(refusal.value)


def test_a_hook_that_holds_for_one_prompt_is_met_by_that_prompt():
    """No prompt is repeated in the batch: the hook counts on as many rows as there are prompts."""
    model = family_model.__wrapped__("gpt2")
    plain = family_runs("gpt2")
    strength = torch.tensor([1.0, 1.5], dtype=torch.float64)[:, None, None]
    model.add_hook("blocks.1.hook_out", lambda stream, hook: strength * stream)
    runs = run_pair(model, plain.clean_tokens, plain.corrupted_tokens)
    true = true_effects(runs, BETWEEN_HEADS, last_logit_difference, "exact")
    found = effects(runs, BETWEEN_HEADS)
    assert (found - true).abs().max() <= FLOAT64_TOLERANCE * true.abs().max()


def test_a_model_that_is_not_its_weights_is_not_replayed():
    model = family_model.__wrapped__("gpt2")
    plain = family_runs("gpt2")
    model.blocks[1].mlp.register_forward_hook(lambda module, args, output: 1.05 * output + 0.01)
    runs = run_pair(model, plain.clean_tokens, plain.corrupted_tokens)
    true = true_effects(runs, BETWEEN_HEADS, last_logit_difference, "exact")
    assert (effects(runs, BETWEEN_HEADS) - true).abs().max() <= FLOAT64_TOLERANCE * true.abs().max()
    for ask in (effects, estimates):
        with pytest.raises(UnsupportedModelError):
            ask(runs)


def test_a_model_that_the_replay_does_not_know_says_so():
    runs = models_of_this_release()["bloom"]()
    for ask in (effects, estimates):
        with pytest.raises(
            UnsupportedModelError, match=r"replay does not .*Paths between heads can be measured"
        ):
            ask(runs)


@either
def test_a_model_in_training_mode_or_half_precision(ask):
    model = family_model.__wrapped__("gpt2", torch.float32)
    runs = family_runs("gpt2", torch.float32)
    runs = run_pair(model, runs.clean_tokens, runs.corrupted_tokens)
    model.train()
    with pytest.raises(PathscopeError, match="training mode"):
        ask(runs)
    model.eval().to(torch.bfloat16)
    with pytest.raises(PathscopeError, match="bfloat16"):
        ask(runs)


def test_frozen_mode_says_what_it_leaves_out_where_norms_are_not_folded():
    runs = family_runs("gpt2", folded=False)
    arguments = (
        runs.model,
        runs.corrupted_tokens,
        runs.clean_tokens,
        [("L0H0", "L1H0.q")],
        last_logit_difference,
    )
    with pytest.warns(UserWarning, match=r'are not folded into W_Q.*Use layer_norm="exact"'):
        edge_effects(*arguments, layer_norm="frozen")
    edge_effects(*arguments)
