"""Every family, component and LayerNorm mode against the slow reference."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from analysis.errors import PathscopeError
from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, HeadInput, LayerNormMode
from analysis.sweep import Sweep
from tests.configurations import EVERY_FAMILY, FAMILIES, NOT_IN_FLOAT64
from tests.reference import FLOAT32_INSIDE_TOLERANCE, FLOAT64_TOLERANCE, patched_logits
from tests.runs import Edge, KeepFloat64, computed_in_float64, family_runs, last_logit_difference
from tests.sweep.support import (
    is_the_model,
    limit_of,
    measure,
    models_of_this_release,
    table,
    transformer_lens_answers,
    without_names,
)

_README = (Path(__file__).parents[2] / "README.md").read_text()


#: What is asked of the twelve, and of every other family, in which each component and mode occurs.
_ALL: list[tuple[HeadInput, LayerNormMode]] = [(c, mode) for c in HEAD_INPUTS for mode in LAYER_NORM_MODES]
_SOME: list[tuple[HeadInput, LayerNormMode]] = [("q", "exact"), ("k", "exact"), ("v", "frozen")]


def _readme() -> list[tuple[str, list[str]]]:
    """Each family that README's tables name, with the other cells of its line."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in _README.splitlines()]
    rows = [row for row in cells if row and set(row[0].split(", ")) & set(EVERY_FAMILY)]
    return [(family, row[1:]) for row in rows for family in row[0].split(", ")]


def _not_the_model() -> list[str]:
    """Families of which README says that their bridge is another model."""
    named = re.search(r"that it wraps: ([^.]*)\.", _README)
    assert named is not None
    return named.group(1).replace("\n", " ").split(", ")


def test_readme_names_every_family_once():
    assert sorted(family for family, _ in _readme()) == sorted(EVERY_FAMILY)


@pytest.mark.filterwarnings("ignore:.*ArchitectureAdapter does not support:UserWarning")
@pytest.mark.filterwarnings("ignore:Block . scales what its norm gives out:UserWarning")
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_a_family_is_what_readme_says(family):
    runs = models_of_this_release()[family]()
    said = dict(_readme())[family]
    assert is_the_model(runs.model, family) == (family not in _not_the_model())
    if len(said) == 1:
        with pytest.raises(PathscopeError) as refusal:
            Sweep(*runs.arguments, last_logit_difference)
        assert without_names(str(refusal.value)) == said[0]
        return
    assert said[:3] == ["yes"] * 3
    engine = said[3].split(" ")[0]
    assert (said[3] == f"{engine} (in float32)") == (family in NOT_IN_FLOAT64)
    for component, mode in _ALL if family in FAMILIES else _SOME:
        with KeepFloat64():
            support = measure(runs, component, mode, edges=2)
        assert support.engine == engine
        assert support.effect > 1e-6
        assert support.share <= limit_of(runs), (component, mode)


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_replay_agrees_with_the_reference_on_the_models_own_arithmetic(family, component):
    support = measure(family_runs(family), component, "exact", edges=3)
    assert support.engine == "replay"
    assert support.difference <= FLOAT32_INSIDE_TOLERANCE


@pytest.mark.parametrize("component", HEAD_INPUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_replay_agrees_with_the_reference_in_float32(family, component):
    support = measure(family_runs(family, torch.float32), component, "frozen", edges=3)
    assert support.engine == "replay"
    assert support.difference <= 5e-6


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
def test_a_head_with_the_same_output_still_writes_otherwise_under_another_post_norm_scale(layer_norm):
    """Other heads of its layer changed, and with them the scale that its share is divided by."""
    runs = computed_in_float64("gemma2")
    name = "blocks.0.attn.hook_z"
    z = runs.clean_cache[name].clone()
    z[:, :, 1] = runs.corrupted_cache[name][:, :, 1]
    runs = replace(runs, clean_cache={**runs.clean_cache, name: z})
    edge = Edge(0, 1, 2, 0)
    sweep = Sweep(
        *runs.arguments, last_logit_difference, component="v", layer_norm=layer_norm, sources=[(0, 1)]
    )
    found = {
        tuple(row): value
        for piece in sweep.run()
        for row, value in zip(piece.edges.tolist(), piece.values, strict=True)
    }
    reference = float(last_logit_difference(patched_logits(runs, edge, "v", layer_norm)))
    assert abs(reference - sweep.baseline) > 1e-5
    assert abs(found[edge] - reference) <= 1e-12


def test_transformer_lens_answers_where_it_is_used_as_an_oracle_and_refuses_elsewhere():
    assert all(transformer_lens_answers(family_runs("gpt2"), component) for component in HEAD_INPUTS)
    assert [c for c in HEAD_INPUTS if transformer_lens_answers(family_runs("qwen2"), c)] == ["q"]
    assert not transformer_lens_answers(family_runs("gemma2"), "q")


@pytest.mark.filterwarnings("ignore:Block . scales what its norm gives out:UserWarning")
def test_the_support_table_says_what_was_measured():
    models = models_of_this_release()
    assert list(models) == list(EVERY_FAMILY)
    names = ("gemma2", "qwen2", "mistral", "mamba", "openai-gpt")
    lines = table({name: models[name] for name in names}).splitlines()
    head, _, gemma, grouped, _, refused, _, *reasons = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in lines
    ]
    assert head[:5] == ["Families", "q", "k", "v", "Engine"]
    assert gemma[:5] == ["gemma2", "yes", "yes", "yes", "replay"]
    assert grouped[:5] == ["qwen2, mistral", "yes", "yes", "yes", "replay"]
    assert (gemma[-1], grouped[-1]) == ("no", "q")
    assert 0.0 < float(gemma[5]) <= FLOAT64_TOLERANCE
    assert refused == ["Refused", "Why"]
    assert [row[0] for row in reasons] == ["mamba", "openai-gpt"]
    for _, reason in reasons:
        assert reason.endswith(".") and "Mamba" not in reason and not re.search(r"off by", reason)


def test_the_support_table_marks_what_is_off(monkeypatch):
    monkeypatch.setattr("tests.sweep.support.limit_of", lambda runs: 0.0)
    row = table({"GPT-2": lambda: computed_in_float64("gpt2")}).splitlines()[2]
    assert "**no**" in row
