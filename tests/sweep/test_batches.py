"""Several prompt pairs at once, any place of difference, and patches at some positions only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.errors import PathscopeError
from analysis.metrics import LogitDifference
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, HeadInput, LayerNormMode
from analysis.sweep import Sweep
from tests.families import VOCABULARY_SIZE
from tests.reference import FLOAT32_INSIDE_TOLERANCE, patched_logits
from tests.runs import Runs, family_model, family_runs, last_logit_difference, run_pair, sampled_edges

METRIC = LogitDifference(answer=7, foil=11)


def swept(runs: Runs, metric=last_logit_difference, **options) -> dict[tuple[int, ...], float]:
    return {
        tuple(edge): value
        for piece in Sweep(*runs.arguments, metric, **options).run()
        for edge, value in zip(piece.edges.tolist(), piece.values, strict=True)
    }


def assert_equal_to_the_reference(
    runs: Runs,
    component: HeadInput,
    layer_norm: LayerNormMode,
    *,
    metric=last_logit_difference,
    positions: list[int] | None = None,
    limit: float = 1e-12,
) -> None:
    found = swept(runs, metric, component=component, layer_norm=layer_norm, positions=positions)
    for edge in sampled_edges(runs, f"{component}{positions}", 5):
        logits = patched_logits(runs, edge, component, layer_norm, positions=positions)
        assert abs(found[edge] - float(metric(logits))) <= limit, edge


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", ["gpt2", "llama-grouped"])
def test_per_prompt_values_are_those_of_each_pair_alone_and_average_to_the_value(family, component):
    runs = family_runs(family, torch.float64, batch=3)
    pieces = list(Sweep(*runs.arguments, METRIC, component=component).run())
    for index in range(3):
        alone = run_pair(runs.model, runs.clean_tokens[[index]], runs.corrupted_tokens[[index]])
        found = swept(alone, METRIC, component=component)
        for piece in pieces:
            assert piece.per_prompt is not None
            assert piece.per_prompt.shape == (len(piece.edges), 3)
            expected = [found[tuple(edge)] for edge in piece.edges.tolist()]
            assert np.allclose(piece.per_prompt[:, index], expected, rtol=0, atol=FLOAT32_INSIDE_TOLERANCE)
    for piece in pieces:
        assert piece.values.shape == (len(piece.edges),)
        assert piece.per_prompt is not None
        assert np.allclose(piece.per_prompt.mean(axis=1), piece.values, rtol=0, atol=1e-13)


def test_pairs_of_a_batch_may_differ_at_different_positions():
    model = family_model("gpt2")
    clean = family_runs("gpt2", batch=3).clean_tokens
    corrupted = clean.clone()
    for row, position in enumerate((1, 8, 5)):
        corrupted[row, position] = 1 + (clean[row, position] + 60) % (VOCABULARY_SIZE - 1)
    runs = run_pair(model, clean, corrupted)
    for component in HEAD_INPUTS:
        assert_equal_to_the_reference(runs, component, "exact")


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize(
    "differences", [(0,), (8,), (0, 8), tuple(range(9))], ids=["first", "last", "ends", "every"]
)
@pytest.mark.parametrize("family", ["gpt2", "mistral"])
def test_prompts_may_differ_anywhere(family, differences, component, layer_norm):
    runs = family_runs(family, differences=differences)
    limit = 1e-12 if family == "gpt2" else FLOAT32_INSIDE_TOLERANCE
    assert_equal_to_the_reference(runs, component, layer_norm, limit=limit)


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("n_tokens", [1, 2])
def test_prompts_of_one_or_two_tokens(n_tokens, component):
    runs = family_runs("gpt2", n_tokens=n_tokens, differences=(n_tokens - 1,))
    assert_equal_to_the_reference(runs, component, "frozen")


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("positions", [[8], [5, 6], [4], [0, 4, 8], [2]], ids=str)
def test_a_patch_may_be_restricted_to_some_positions(positions, component, layer_norm):
    assert_equal_to_the_reference(family_runs("gpt2"), component, layer_norm, positions=positions)


@pytest.mark.parametrize("family", ["llama-grouped", "gemma2"])
def test_positions_restrict_a_shared_key_too(family):
    assert_equal_to_the_reference(
        family_runs(family), "k", "frozen", positions=[5, 7], limit=FLOAT32_INSIDE_TOLERANCE
    )


@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_all_positions_by_name_are_the_default(component):
    runs = family_runs("gpt2")
    every = swept(runs, component=component, positions=range(9))
    assert every == pytest.approx(swept(runs, component=component), rel=0, abs=1e-13)


def test_positions_count_from_the_end_when_negative():
    runs = family_runs("gpt2")
    assert swept(runs, component="k", positions=[-1, -3]) == swept(runs, component="k", positions=[8, 6])


def test_positions_before_the_first_difference_leave_the_baseline():
    runs = family_runs("gpt2")
    sweep = Sweep(*runs.arguments, METRIC, component="v", positions=[0, 1, 2, 3])
    for piece in sweep.run():
        assert np.allclose(piece.values, sweep.baseline, rtol=0, atol=1e-13)


@pytest.mark.parametrize("metric", [METRIC, last_logit_difference], ids=["named", "plain"])
@pytest.mark.parametrize("family", ["gpt2", "llama-grouped"])
def test_a_source_that_writes_the_same_in_both_runs_leaves_the_baseline_and_every_other_path(family, metric):
    runs = family_runs(family)
    name = "blocks.0.attn.hook_z"
    clean = dict(runs.clean_cache)
    clean[name] = clean[name].clone()
    clean[name][:, :, 1] = runs.corrupted_cache[name][:, :, 1]
    changed = replace(runs, clean_cache=clean)
    before, found = swept(runs, metric, component="k"), swept(changed, metric, component="k")
    unpatched = Sweep(*runs.arguments, metric).baseline
    for edge, value in found.items():
        expected = unpatched if edge[:2] == (0, 1) else before[edge]
        assert abs(value - expected) <= 1e-12, edge
    assert max(abs(before[edge] - unpatched) for edge in before if edge[:2] == (0, 1)) > 1e-6


@pytest.mark.parametrize("positions", [[9], [-10], [0, 40]], ids=str)
def test_a_position_outside_the_prompt_is_refused(positions):
    said = rf"positions \[{positions[-1]}\] lie outside the prompts of 9 tokens; choose from -9 to 8"
    with pytest.raises(PathscopeError, match=said):
        Sweep(*family_runs("gpt2").arguments, METRIC, positions=positions)


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", ["gpt2", "pythia", "llama-grouped", "gemma2"])
def test_the_memory_budget_changes_the_pieces_and_not_the_numbers(family, component):
    runs = family_runs(family)
    options = {"component": component, "layer_norm": "exact"}
    n_pieces = [
        Sweep(*runs.arguments, METRIC, memory_bytes=budget, **options).n_pieces
        for budget in (2**18, 2**20, 2**30)
    ]
    assert n_pieces == sorted(n_pieces, reverse=True) and n_pieces[0] > n_pieces[-1]
    roomy = swept(runs, memory_bytes=2**30, **options)
    for budget in (2**18, 2**20):
        assert swept(runs, memory_bytes=budget, **options) == pytest.approx(roomy, rel=0, abs=1e-12)


def test_a_budget_below_one_patched_row_is_refused_by_name():
    with pytest.raises(PathscopeError, match=r"PATHSCOPE_SWEEP_BYTES"):
        Sweep(*family_runs("gpt2").arguments, METRIC, memory_bytes=1024)


def test_a_metric_at_an_earlier_position_is_read_there():
    runs = family_runs("gpt2", differences=(2, 4))
    metric = LogitDifference(position=5, answer=7, foil=11)
    for component in HEAD_INPUTS:
        assert_equal_to_the_reference(runs, component, "frozen", metric=metric)
