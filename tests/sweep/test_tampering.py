"""Whatever a person has done to the model: the right number, or a sentence that says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from analysis.requests import HEAD_INPUTS, LAYER_NORM_MODES, HeadInput
from analysis.sweep import Gate, open_gate
from tests.runs import Runs
from tests.sweep.judging import ENTRIES, verdict
from tests.sweep.tampering import TABLE, fresh_model, tampered

#: The entries share what they are made of: one of them meets every component in either mode.
QUESTIONS = [
    *product(["all sources"], HEAD_INPUTS, LAYER_NORM_MODES),
    *(
        (entry, *way)
        for entry in ENTRIES
        if entry != "all sources"
        for way in (("q", "frozen"), ("k", "exact"))
    ),
]


@pytest.fixture(scope="module", params=TABLE)
def case(request: pytest.FixtureRequest) -> Iterator[tuple[str, Runs]]:
    with tampered(TABLE[request.param]) as runs:
        yield request.param, runs


@pytest.mark.parametrize(("entry", "component", "layer_norm"), QUESTIONS)
def test_what_is_said_of_a_tampered_model_is_right_or_refused(case, entry, component, layer_norm):
    name, runs = case
    said = verdict(entry, runs, component, layer_norm)
    if TABLE[name].refused:
        assert said.outcome == "refused", said
    elif TABLE[name].name == "nothing" and entry != "estimate":
        assert said.outcome == "right", said
    else:
        assert said.outcome in ("right", "refused"), said


@pytest.mark.parametrize(
    "name",
    [
        "patterns held by add hook, gpt2",
        "mlps held by another forward, llama",
        "a bound that patched rows alone reach, gpt2",
        "tokens banned by a hook and an mlp off by half, llama-grouped",
        "a padded vocabulary and an mlp off by half, gpt2",
        "adapters on q k and v, llama-grouped",
    ],
)
@pytest.mark.parametrize("component", HEAD_INPUTS)
def test_a_gate_that_always_opens_is_noticed(name: str, component: HeadInput, monkeypatch):
    with tampered(TABLE[name]) as runs:
        _let_every_replay_speak(monkeypatch, TABLE[name].family)
        said = [verdict(entry, runs, component, "frozen") for entry in ("all sources", "estimate")]
    assert all(one.outcome == "wrong" and one.why.startswith("off by") for one in said), said


def _let_every_replay_speak(monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    """Whatever model comes to the gate, it is told of the replay of one that nobody has touched."""
    untouched = fresh_model(family)

    def opened(model: Any, tokens: Any, *arguments: Any, **options: Any) -> Gate:
        return open_gate(untouched, tokens, *arguments, **options)

    for module in [module for name, module in sys.modules.items() if name.startswith("analysis.")]:
        if vars(module).get("open_gate") is open_gate:
            monkeypatch.setattr(module, "open_gate", opened)
    monkeypatch.setattr(Gate, "agrees", lambda *arguments: True, raising=False)
