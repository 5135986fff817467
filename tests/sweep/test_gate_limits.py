"""How far a replayed logit may be from the model's own, and what the gate says where it is further."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch

from analysis.errors import PathscopeError
from analysis.metrics import KLFromClean, metric_gradient
from analysis.settings import settings
from analysis.sweep import Sweep, gate, open_gate
from analysis.sweep.gate import allowed, largest_gap, within
from tests.runs import family_runs, last_logit_difference

TOLERANCE = 1e-4
#: Median distance of normal numbers from their middle, six of which are the spread.
SPREAD = 6 * 0.6745
LOGITS = torch.randn(2, 3, 8000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def off(by: float, logits: torch.Tensor = LOGITS, token: int = 5) -> torch.Tensor:
    moved = logits.clone()
    moved[1, 2, token] += by
    return moved


@pytest.mark.parametrize("sign", [1, -1])
def test_a_logit_may_be_off_by_the_tolerance_times_the_spread_of_its_row(sign):
    assert within(off(sign * 0.9 * TOLERANCE * SPREAD), LOGITS, TOLERANCE)
    assert not within(off(sign * 1.1 * TOLERANCE * SPREAD), LOGITS, TOLERANCE)


@pytest.mark.parametrize("shift", [0.0, 100.0, -100.0])
def test_neither_a_common_shift_nor_another_row_widens_the_limit(shift):
    shifted = LOGITS + shift
    shifted[0] *= 1000
    assert not within(off(1.1 * TOLERANCE * SPREAD, shifted), shifted, TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_huge_logit_may_be_off_by_its_own_rounding_and_no_other_for_its_sake(dtype):
    """Sixty-four units of its own last place."""
    huge = LOGITS.to(dtype)
    huge[1, 2, 5] = -1e7
    rounding = 64 * torch.finfo(dtype).eps * 1e7
    spread = TOLERANCE * SPREAD
    assert within(off(0.9 * (rounding + spread), huge), huge, TOLERANCE)
    assert not within(off(1.2 * (rounding + spread), huge), huge, TOLERANCE)
    assert not within(off(1.2 * spread, huge, token=6), huge, TOLERANCE)


def test_a_logit_is_its_equal_where_both_are_infinite_alike_and_nowhere_else():
    banned = LOGITS.clone()
    banned[..., 3] = -math.inf
    assert within(banned, banned, TOLERANCE) and largest_gap(banned, banned) == 0.0
    # A banned token is told no wider limit than its neighbours.
    assert (allowed(banned, TOLERANCE) <= 1.1 * TOLERANCE * SPREAD).all()
    for replayed in (LOGITS, -banned):
        assert not within(replayed, banned, TOLERANCE)
        assert largest_gap(replayed, banned) == math.inf
    for replayed, own in ((off(math.nan), LOGITS), (LOGITS, off(math.nan))):
        assert not within(replayed, own, TOLERANCE)
        assert math.isnan(largest_gap(replayed, own))


def test_the_gap_is_the_largest_difference_of_either_sign():
    assert largest_gap(off(0.25), LOGITS) == pytest.approx(0.25)
    assert largest_gap(off(-0.5), LOGITS) == pytest.approx(0.5)


def test_the_limit_that_is_told_is_the_widest_of_any_logit():
    runs = family_runs("gpt2")
    opened = open_gate(runs.model, runs.corrupted_tokens)
    logits, tolerance = opened.logits, settings().replay_tolerance
    assert within(logits + 0.999 * opened.limit, logits, tolerance) is False
    widest = allowed(logits, tolerance) >= opened.limit
    assert widest.any() and within(logits + widest * 0.999 * opened.limit, logits, tolerance)
    assert not within(logits + 1.001 * opened.limit * torch.ones_like(logits), logits, tolerance)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("factor", [1.0, -30.0])
def test_a_metric_agrees_within_what_the_limits_of_the_logits_that_it_reads_add_up_to(factor, sign):
    runs = family_runs("gpt2")
    opened = open_gate(runs.model, runs.corrupted_tokens)
    own = factor * float(last_logit_difference(opened.logits))
    of_logits = allowed(opened.logits, settings().replay_tolerance)[:, -1, [7, 11]]
    limit = abs(factor) * float(of_logits.sum(-1).mean())

    def metric(logits: torch.Tensor) -> torch.Tensor:
        return factor * last_logit_difference(logits)

    assert opened.agrees(metric, own + sign * 0.99 * limit, own)
    assert not opened.agrees(metric, own + sign * 1.01 * limit, own)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e-3])
@pytest.mark.parametrize(("share", "told"), [(0.5, False), (2.0, True), (-2.0, True)])
def test_a_cache_is_another_run_where_it_is_off_by_more_than_the_tolerance_of_its_own_size(share, told, size):
    runs = family_runs("gpt2")
    name = f"blocks.{runs.model.cfg.n_layers - 1}.attn.hook_z"
    opened = open_gate(runs.model, runs.corrupted_tokens)
    z = -size * runs.corrupted_cache[name].abs()
    moved = z.clone()
    moved[0, -1, 0, 0] += share * settings().replay_tolerance * z.abs().max()
    scaled = gate.Gate(**{**vars(opened), "last_z": z})
    assert bool(list(scaled.another_run({name: moved}))) is told


def test_the_gate_leaves_the_random_numbers_of_whoever_asks_alone():
    runs = family_runs("gpt2")
    before = torch.get_rng_state()
    open_gate(runs.model, runs.corrupted_tokens)
    assert torch.equal(torch.get_rng_state(), before)


# Memory that runs out


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["accelerator", "processor"],
)
@pytest.mark.parametrize("place", ["read_decoder", "replay_corrupted_run", "run_with_cache"])
def test_memory_that_runs_out_is_said_and_not_taken_for_a_part_that_is_not_known(place, error, monkeypatch):
    """The general path, which computes for unknown parts, would need more memory still."""
    runs = family_runs("gpt2")

    def fails(*arguments: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(runs.model if place == "run_with_cache" else gate, place, fails)
    with pytest.raises(PathscopeError, match=r"Memory ran out.*shorter prompts, fewer of them, or a smaller"):
        Sweep(*runs.arguments, last_logit_difference)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), IndexError("no such axis")], ids=repr)
@pytest.mark.parametrize("place", ["read_decoder", "replay_corrupted_run"])
def test_a_part_of_a_shape_that_is_not_known_is_computed_by_the_model_itself(place, error, monkeypatch):
    runs = family_runs("gpt2")

    def fails(*arguments: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(gate, place, fails)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep = Sweep(*runs.arguments, last_logit_difference)
    assert sweep.engine == "hooks" and sweep.replay_gap is None


def test_a_metric_at_its_minimum_may_be_off_by_what_its_curvature_makes_of_the_limit():
    """KL from the run itself has no slope there, and is never exactly zero in floating point."""
    runs = family_runs("gpt2")
    here = open_gate(runs.model, runs.corrupted_tokens)
    metric = KLFromClean(clean_logits=here.logits[:, -1])
    assert here.agrees(metric, 1e-9, 0.0)
    assert not here.agrees(metric, 1e-3, 0.0)
    # Where it has a slope, that decides, as before.
    steep = KLFromClean(clean_logits=here.logits[:, -2])
    own = float(steep(here.logits))
    slope = metric_gradient(steep, here.logits)
    assert slope is not None
    by_slope = float((slope.abs() * allowed(here.logits, TOLERANCE)).sum())
    assert here.agrees(steep, own + 0.9 * by_slope, own) and not here.agrees(steep, own + 2 * by_slope, own)
