"""The live checks pass on sound models, and each one fails when what it proves is broken."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from analysis import models
from analysis.answers.compute import compute, runs_of
from analysis.demo_model.examples import EXAMPLES
from analysis.edges import JointReplay
from analysis.errors import PathscopeError
from analysis.experiment import Activations, Run, Runs, prompts
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, UNITS, Experiment
from analysis.results import SanityRequest, SanityResult
from analysis.sanity import checks as sanity
from analysis.sanity import known_results
from analysis.sanity.known_results import KnownResult, Prompt, compared
from analysis.store.store import Store
from analysis.sweep import Sweep
from tests.experiments import on

EVERYWHERE = {
    "Attribution by component",
    "Attribution by layer",
    "Attribution by head",
    "Replay of the forward pass",
    "Clean equal to corrupted",
    "A row of the whole",
    "Nothing after the last layer",
    "Engine against hooks, q",
    "Engine against hooks, k",
    "Engine against hooks, v",
    "All paths together",
    "No path",
    "Circuit against hooks, brings back",
    "Circuit against hooks, breaks",
    "Circuit against hooks, faithfulness",
}
BY_TRANSFORMER_LENS = {f"Engine against TransformerLens, {component}" for component in "qkv"}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def gpt2(family_directory) -> Experiment:
    return on(family_directory("gpt2"))


def by_name(checks: tuple[sanity.Check, ...]) -> dict[str, sanity.Check]:
    found = {check.name: check for check in checks}
    assert len(found) == len(checks)
    return found


@pytest.mark.parametrize(
    ("family", "oracle"),
    [("gpt2", "qkv"), ("pythia", "qkv"), ("llama-grouped", "q"), ("gemma2", ""), ("opt", "")],
)
def test_every_check_passes_on_every_kind_of_model(family_directory, store, family, oracle):
    experiment = on(family_directory(family))
    runs = runs_of(experiment, store)
    found = by_name(sanity.checked(experiment, runs))
    assert set(found) - EVERYWHERE == {f"Engine against TransformerLens, {c}" for c in oracle}
    assert set(found) >= EVERYWHERE
    assert {name for name, check in found.items() if not check.measured <= check.limit} == set()


@pytest.mark.parametrize(
    ("spoilt", "named"),
    [
        (lambda sets: sets & (np.arange(sets.shape[1]) == sets.shape[1] - 1)[:, None], "All paths together"),
        (lambda sets: sets | (np.arange(sets.shape[2]) == 0), "No path"),
        (lambda sets: np.roll(sets, 1, axis=1), "Circuit against hooks, brings back"),
        (lambda sets: np.roll(sets, 1, axis=1), "Circuit against hooks, breaks"),
        (lambda sets: sets & (np.arange(sets.shape[1]) > 0)[:, None], "Circuit against hooks, faithfulness"),
    ],
)
def test_a_joint_patch_that_patches_something_else_is_noticed(gpt2, store, monkeypatch, spoilt, named):
    runs = runs_of(gpt2, store)
    measure = JointReplay.measure
    monkeypatch.setattr(JointReplay, "measure", lambda joint, sets, stop: measure(joint, spoilt(sets), stop))
    check = by_name(sanity.checked(gpt2, runs))[named]
    assert not check.measured <= check.limit


def test_the_circuit_at_hand_is_what_hooks_patch(gpt2, store):
    edges = (("embed", "L0H1.v"), ("L0H1", "MLP1"), ("MLP1", "logits"))
    found = by_name(sanity.checked(gpt2, runs_of(gpt2, store), edges))
    check = found["Circuit against hooks, faithfulness"]
    assert check.statement.startswith("The 3 paths of the circuit") and check.measured <= check.limit
    with pytest.raises(PathscopeError, match="no 'L99H0'"):
        sanity.checked(gpt2, runs_of(gpt2, store), (("L99H0", "logits"),))


def test_they_pass_on_the_bundled_model_and_survive_the_store(store):
    example = EXAMPLES[0]
    experiment = Experiment("demo", example.clean, example.corrupted, example.answer, example.foil)
    result = compute(SanityRequest(experiment), store)
    assert isinstance(result, SanityResult) and result.passed
    assert {name for name, *_ in result.checks} == EVERYWHERE | BY_TRANSFORMER_LENS
    assert all(statement.endswith(".") for _, statement, _, _ in result.checks)
    arrays, values = result.parts()
    restored = SanityResult.from_parts(result.request, arrays, json.loads(json.dumps(values)))
    assert restored.passed and restored.parts()[1] == values


def failing(experiment: Experiment, runs: Runs) -> set[str]:
    return {check.name for check in sanity.checked(experiment, runs) if not check.measured <= check.limit}


def spoiled(run: Run, name: str, by: float) -> Run:
    """`run` with one number of the activation `name` moved."""
    changed = run.activations[name]
    changed.view(-1)[-1] += by
    return Run(Activations(lambda: {**run.activations, name: changed}, "cpu"))


def test_a_part_that_is_off_shows_in_its_unit_alone(gpt2, store):
    runs = runs_of(gpt2, store)
    broken = replace(runs, clean=spoiled(runs.clean, "blocks.1.hook_mlp_out", 0.005))
    assert failing(gpt2, broken) == {"Attribution by component"}


def test_logits_that_are_off_show_in_every_unit(gpt2, store):
    runs = runs_of(gpt2, store)
    logits = runs.clean.logits
    logits[0, -1, runs.pair.answer] += 0.5
    off = {**runs.clean.activations, "logits": logits}
    broken = replace(runs, clean=Run(Activations(lambda: off, "cpu")))
    units = {f"Attribution by {unit}" for unit in ("component", "layer", "head")}
    assert failing(gpt2, broken) == units | {"All paths together"}


def test_an_engine_that_is_off_disagrees_with_hooks_and_transformer_lens(monkeypatch, gpt2, store):
    run = Sweep.run

    def off(self: Sweep, *arguments: Any, **options: Any):
        for piece in run(self, *arguments, **options):
            yield replace(piece, values=piece.values + 0.01)

    monkeypatch.setattr(Sweep, "run", off)
    wrong = failing(gpt2, runs_of(gpt2, store))
    assert wrong == {"Clean equal to corrupted"} | BY_TRANSFORMER_LENS | {
        f"Engine against hooks, {component}" for component in "qkv"
    }


@pytest.mark.parametrize("mode", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_an_engine_that_is_off_for_one_component_in_one_mode_shows(component, mode, monkeypatch, gpt2, store):
    class Off(Sweep):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.off = (
                0.01 if (options.get("component"), options.get("layer_norm")) == (component, mode) else 0.0
            )

        def run(self, *arguments: Any, **options: Any):
            for piece in super().run(*arguments, **options):
                yield replace(piece, values=piece.values - self.off)

    monkeypatch.setattr(sanity, "Sweep", Off)
    # TransformerLens's own direct paths are of an exact norm.
    others = {f"Engine against TransformerLens, {component}"} if mode == "exact" else set()
    assert failing(gpt2, runs_of(gpt2, store)) == {f"Engine against hooks, {component}"} | others


def test_a_limit_is_a_hundred_thousandth_of_the_largest_logit_of_either_run(gpt2, store):
    runs = runs_of(gpt2, store)
    found = by_name(sanity.checked(gpt2, runs))
    largest = max(float(run.logits.abs().max()) for run in (runs.clean, runs.corrupted))
    exact = {"Clean equal to corrupted", "Nothing after the last layer"}
    for name in EVERYWHERE | BY_TRANSFORMER_LENS:
        if name in exact:
            assert found[name].limit == 0.0
        elif name != "Replay of the forward pass":
            assert found[name].limit == pytest.approx(1e-5 * largest)


def test_a_sweep_whose_rows_depend_on_each_other_shows(monkeypatch, gpt2, store):
    run = Sweep.run

    def off(self: Sweep, *arguments: Any, **options: Any):
        for piece in run(self, *arguments, **options):
            yield replace(piece, values=piece.values + 1e-3 * len(np.unique(piece.edges[:, 1])))

    monkeypatch.setattr(Sweep, "run", off)
    assert "A row of the whole" in failing(gpt2, runs_of(gpt2, store))


def test_a_cell_after_the_last_layer_shows(monkeypatch, gpt2, store):
    monkeypatch.setattr(sanity, "causal_edges", lambda layers, heads: np.ones((layers, heads, layers, heads)))
    assert failing(gpt2, runs_of(gpt2, store)) == {"Nothing after the last layer"}


def test_a_replay_that_is_off_fails_and_hands_over_to_the_hooks(monkeypatch, gpt2, store):
    monkeypatch.setattr("analysis.sweep.gate.allowed", lambda logits, tolerance: torch.zeros_like(logits))
    found = by_name(sanity.checked(gpt2, runs_of(gpt2, store)))
    wrong = {name for name, check in found.items() if not check.measured <= check.limit}
    assert wrong == {"Replay of the forward pass"}
    assert not any(name.startswith("Engine against hooks") for name in found)


IOI = tuple(Prompt(example.clean, example.answer, example.foil) for example in EXAMPLES[:1])


def published(shift: float = 0.0) -> KnownResult:
    """Figures of the bundled model, measured without attribution: from the residual stream itself."""
    bridge = models.load("demo").bridge
    prompt = IOI[0]
    with torch.no_grad():
        logits, cache = bridge.run_with_cache(prompts.tokenize(bridge, prompt.text))
    answer, foil = (prompts.single_token(bridge, text, "answer") for text in (prompt.answer, prompt.foil))
    difference = float(logits[0, -1, answer] - logits[0, -1, foil])
    direction = bridge.W_U[:, answer] - bridge.W_U[:, foil]
    scale = cache["ln_final.hook_scale"][0, -1]
    head = cache["blocks.3.attn.hook_z"][0, -1, 2] @ bridge.blocks[3].attn.W_O[2]
    mlp = cache["blocks.2.hook_mlp_out"][0, -1]
    final = cache["blocks.3.hook_resid_post"][0, -1]
    head, mlp, final = (float((write - write.mean()) / scale @ direction) for write in (head, mlp, final))
    return KnownResult(
        "Demo",
        IOI,
        (difference + shift,),
        {
            "head": {"L3H2": head + shift},
            "component": {"2_mlp_out": mlp + shift},
            "layer": {"final_post": final},
        },
    )


def test_published_figures_are_recognised():
    found = list(compared(models.load("demo"), published()))
    assert [name for name, *_ in found] == ["Demo", "Demo, by head", "Demo, by component", "Demo, by layer"]
    assert all(gap <= limit for _, _, gap, limit in found)


def test_other_figures_are_not():
    found = {
        name: gap - limit for name, _, gap, limit in compared(models.load("demo"), published(shift=0.02))
    }
    assert [name for name, excess in found.items() if excess > 0] == [
        "Demo",
        "Demo, by head",
        "Demo, by component",
    ]


def test_a_label_that_the_model_does_not_have_is_no_match():
    known = published().attributions["head"]
    figures = replace(published(), attributions={"head": {**known, "L9H9": 2.985}})
    *_, (_, _, gap, _) = compared(models.load("demo"), figures)
    assert gap == float("inf")


def test_published_figures_are_compared_for_their_own_model_only(monkeypatch, gpt2, store):
    model = models.load("demo")
    assert list(known_results.known_results(model)) == []
    named = replace(model, name="gpt2")
    monkeypatch.setattr(known_results, "compared", lambda model, known: iter([(known.title, "", 0.0, 1.0)]))
    assert [name for name, *_ in known_results.known_results(named)] == [
        "IOI, eight prompts",
        "IOI, one prompt",
    ]


def test_a_folder_that_is_called_like_a_published_model_is_another_model(monkeypatch, tmp_path):
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert list(known_results.known_results(replace(models.load("demo"), name="gpt2"))) == []


def test_figures_are_published_by_units_that_there_are():
    for known in (known_results.INDIRECT_OBJECTS, known_results.ONE_PROMPT):
        assert set(known.attributions) <= set(UNITS)
        assert len(known.logit_differences) in (0, len(known.prompts))


def test_the_published_mean_and_its_parts_are_consistent():
    known = known_results.INDIRECT_OBJECTS
    mean = sum(known.logit_differences) / 8
    assert mean == pytest.approx(3.552, abs=5e-4)
    assert known.attributions["layer"]["final_post"] == pytest.approx(mean, abs=1e-3)
    assert len({prompt.text for prompt in known.prompts}) == 8
    for prompt in known.prompts:
        assert prompt.text.count(prompt.foil) == 2 and prompt.text.count(prompt.answer) == 1
