"""Roles of heads are told of the model they were found in, and circuits are held against them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import find_circuit
from analysis.circuit import Agreement, KnownCircuit, known_circuit, roles
from analysis.circuit.roles import INDIRECT_OBJECTS, RolePath
from analysis.nodes import Graph
from tests.circuit.test_search import TRUE_CIRCUIT
from tests.induction import INDUCTION, PREVIOUS, answer_over_foil, induction_runs

GPT2 = Graph(12, 12)
#: The model set by hand, as if somebody had published it; the last head of its second layer does nothing.
BY_HAND = KnownCircuit(
    task="induction",
    source="set by hand",
    models=("acme/induction",),
    shape=Graph(2, 4),
    heads={"previous token": (PREVIOUS,), "induction": (INDUCTION, (1, 2)), "copying": (INDUCTION,)},
    paths=(
        RolePath("previous token", "induction", ("k",)),
        RolePath("induction", "previous token", ("q",)),
        RolePath("induction", "logits"),
    ),
)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> KnownCircuit:
    monkeypatch.setattr(roles, "KNOWN_CIRCUITS", (INDIRECT_OBJECTS, BY_HAND))
    known = known_circuit("acme/induction", Graph(2, 4))
    assert known is not None
    return known


def test_a_circuit_that_was_found_is_held_against_the_one_that_is_known(published):
    runs = induction_runs()
    found = find_circuit(runs.model, runs.clean_tokens, runs.corrupted_tokens, answer_over_foil, 0.99)
    assert set(found.labels) == TRUE_CIRCUIT
    heads, edges = published.heads_agreement(found.labels), published.edges_agreement(found.labels)
    assert heads == Agreement(found=2, known=3, both=2)
    assert (heads.precision, heads.recall) == (1.0, 2 / 3)
    # From the embedding into a value: of such paths nothing is known.
    assert edges == Agreement(found=2, known=4, both=2)
    assert (edges.precision, edges.recall) == (1.0, 0.5)
    others = [*found.labels, ("L0H1", "L1H0.k"), ("MLP0", "L1H0.k"), ("L0H2", "L1H3.q")]
    assert published.heads_agreement(others) == Agreement(found=4, known=3, both=2)
    assert published.edges_agreement(others) == Agreement(found=4, known=4, both=2)


def test_paths_between_roles_are_edges_of_the_model_and_no_others(published):
    assert published.edges == {
        ("L0H2", "L1H3.k"),
        ("L0H2", "L1H2.k"),
        ("L1H3", "logits"),
        ("L1H2", "logits"),
    }


def test_a_head_has_its_badges_wherever_it_stands(published):
    assert published.roles_of("L1H3") == published.roles_of("L1H3.q") == ("induction", "copying")
    assert published.roles_of("L0H2.v") == ("previous token",)
    assert [published.roles_of(node) for node in ("L0H1", "MLP0", "embed", "logits", "L1H33")] == [()] * 5


def test_of_no_edges_there_is_no_precision(published):
    nothing = published.edges_agreement([])
    assert math.isnan(nothing.precision) and nothing.recall == 0.0
    assert math.isnan(Agreement(2, 0, 0).recall)


@pytest.mark.parametrize("name", ["gpt2", "openai-community/gpt2", " gpt2 "])
def test_gpt2_small_is_known_by_its_ids(name):
    assert known_circuit(name, GPT2) is INDIRECT_OBJECTS


@pytest.mark.parametrize(
    ("name", "graph"),
    [
        ("demo", Graph(4, 8)),
        ("gpt2", Graph(2, 4)),
        ("gpt2", Graph(12, 12, parallel=True)),
        ("gpt2", Graph(12, 12, has_mlps=False)),
        ("gpt2-medium", Graph(24, 16)),
        ("somebody/gpt2", GPT2),
        ("./gpt2", GPT2),
        ("gpt\x002", GPT2),
        ("", GPT2),
    ],
)
def test_no_other_model_is(name, graph):
    assert known_circuit(name, graph) is None


def test_a_folder_called_gpt2_is_another_model(monkeypatch, tmp_path: Path):
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert known_circuit("gpt2", GPT2) is None
    assert known_circuit("openai-community/gpt2", GPT2) is INDIRECT_OBJECTS


def test_the_published_circuit_has_its_26_heads_and_only_edges_that_exist():
    heads = [head for some in INDIRECT_OBJECTS.heads.values() for head in some]
    assert len(heads) == len(set(heads)) == 26
    assert INDIRECT_OBJECTS.edges <= set(GPT2.labels(GPT2.edges))
    # 13 into the logits, 2 x 4 into keys, (4 + 3) x 4 into keys and values, 4 x 3 into queries.
    assert len(INDIRECT_OBJECTS.edges) == 13 + 8 + 56 + 12
    assert ("L8H6", "L9H9.q") in INDIRECT_OBJECTS.edges and ("L8H6", "L9H9.k") not in INDIRECT_OBJECTS.edges
    assert ("L2H2", "L5H5.k") in INDIRECT_OBJECTS.edges and ("L0H1", "L7H3.v") in INDIRECT_OBJECTS.edges
    assert INDIRECT_OBJECTS.roles_of("L9H9") == ("name mover",)
    assert INDIRECT_OBJECTS.roles_of("L10H7.q") == ("negative name mover",)


def test_a_role_without_heads_is_noticed():
    wrong = replace(BY_HAND, paths=(RolePath("no such role", "induction", ("k",)),))
    with pytest.raises(KeyError, match="no such role"):
        assert wrong.edges
