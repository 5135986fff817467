"""Both runs of an experiment are made once for questions that follow each other, within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from analysis import models
from analysis.experiment import Runs, run_experiment
from analysis.experiment.kept import KeptRuns, run_bytes
from analysis.requests import Experiment
from analysis.store import Store, open_store
from tests.experiments import on

pytestmark = pytest.mark.usefixtures("own_store")

FIRST, LATER = "blocks.0.attn.hook_z", "blocks.1.attn.hook_z"


@pytest.fixture
def experiment(family_directory) -> Experiment:
    return on(family_directory("gpt2"))


@pytest.fixture
def made(monkeypatch, experiment) -> list[tuple[Any, ...]]:
    """Grows by one with every forward pass of the model."""
    bridge = models.load(experiment.model).bridge
    run = bridge.run_with_cache
    made: list[tuple[Any, ...]] = []

    def counted(*told, **more):
        made.append(told)
        return run(*told, **more)

    monkeypatch.setattr(bridge, "run_with_cache", counted)
    return made


def run(experiment: Experiment, *names: str, store: Store | None = None) -> Runs:
    return run_experiment(experiment, store or open_store(), lambda bridge: set(names))


def read(runs: Runs) -> list[dict[str, torch.Tensor]]:
    """All activations of both runs."""
    return [dict(one.activations) for one in (runs.clean, runs.corrupted)]


def test_runs_are_made_anew_for_other_activations_and_another_store(experiment, made, tmp_path):
    for _ in range(2):
        assert set(read(run(experiment, FIRST))[0]) == {FIRST, "logits"}
    assert len(made) == 2
    assert set(read(run(experiment, LATER))[0]) == {LATER, "logits"}
    assert len(made) == 4
    read(run(experiment, FIRST, store=Store.open(tmp_path / "other")))
    assert len(made) == 6


def test_a_run_is_made_when_it_is_first_read(experiment, made):
    runs = run(experiment, FIRST)
    assert not made
    assert torch.isfinite(runs.corrupted.logits).all()
    assert len(made) == 1 and torch.equal(made[0][0], runs.pair.corrupted)


def test_runs_that_do_not_fit_are_made_for_each_question_and_are_the_same(experiment, made, monkeypatch):
    kept = run(experiment, FIRST)
    read(kept)
    monkeypatch.setenv("PATHSCOPE_RUN_BYTES", "0")
    for number in (2, 3):
        anew = run(experiment, FIRST, LATER)
        read(anew)
        assert len(made) == 2 * number
    for name in (FIRST, "logits"):
        assert torch.equal(anew.clean.activations[name], kept.clean.activations[name])


def test_nothing_of_a_run_is_stored(experiment):
    read(run(experiment, FIRST))
    assert list(open_store().keys("")) == []


def test_what_a_question_writes_into_an_activation_is_its_own(experiment):
    run(experiment, FIRST).clean.activations[FIRST].fill_(7.0)
    assert (run(experiment, FIRST).clean.activations[FIRST] != 7.0).all()


def test_the_latest_runs_that_fit_are_kept(monkeypatch):
    monkeypatch.setenv("PATHSCOPE_RUN_BYTES", "100")
    runs: Callable[[int], dict[str, torch.Tensor]] = lambda size: {"z": torch.zeros(size // 4)}  # noqa: E731
    assert run_bytes(runs(40)) == 40
    kept = KeptRuns()
    for name in "ab":
        kept.keep(name, runs(40))
    assert kept.get("a") is not None
    kept.keep("c", runs(40))
    assert [name for name in "abc" if kept.get(name) is not None] == ["a", "c"], "b was longest not asked for"
    kept.keep("d", runs(104))
    assert [name for name in "abcd" if kept.get(name) is not None] == ["a", "c"], "d alone is too large"
    monkeypatch.setenv("PATHSCOPE_RUN_BYTES", "50")
    kept.keep("e", runs(40))
    assert [name for name in "ace" if kept.get(name) is not None] == ["e"]
