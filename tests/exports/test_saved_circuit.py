"""A circuit that has left loads again as it was, and nothing else ever loads as one."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import PathscopeError
from analysis.exports import (
    LONGEST_NAME,
    SavedCircuit,
    SavedScores,
    circuit_from_json,
    circuit_json,
    model_title,
)
from analysis.exports.circuit_file import LONGEST_FILE
from analysis.nodes import Graph
from analysis.requests import METRIC_NAMES, Experiment
from tests.exports.samples import EDGES, GRAPH, GROUPS, experiment, graph_result, scores_result
from tests.hostile import HOSTILE

SAVED = SavedCircuit.of(graph_result(), EDGES, GROUPS, scores_result())
TEXT = circuit_json(SAVED)
HELD: dict[str, Any] = json.loads(TEXT)

_texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(list(HOSTILE.values()))
_edges = st.lists(st.sampled_from(Graph(3, 2).labels(Graph(3, 2).edges)), unique=True).map(tuple)
_shares = st.floats(allow_nan=False, allow_infinity=False)
_circuits = st.builds(
    SavedCircuit,
    experiment=st.builds(Experiment, _texts, _texts, _texts, _texts, _texts),
    metric=st.sampled_from(METRIC_NAMES),
    edges=_edges,
    groups=st.dictionaries(
        st.text(min_size=1, max_size=LONGEST_NAME).filter(str.strip), st.just(None), max_size=3
    ).map(lambda names: tuple((name, (f"L0H{at}", f"MLP{at}")) for at, name in enumerate(names))),
    scores=st.none()
    | st.builds(
        SavedScores,
        _shares,
        _shares,
        _shares,
        st.integers(0, 99),
        st.dictionaries(st.sampled_from(["brings_back", "breaks", "faithfulness"]), _shares),
    ),
    fingerprint=_texts,
    provenance=st.dictionaries(_texts, _texts, max_size=3),
)
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=8,
)


def refusal(text: str | bytes) -> str:
    with pytest.raises(PathscopeError) as refused:
        circuit_from_json(text)
    return str(refused.value)


@given(_circuits)
def test_what_left_loads_again_as_it_was(circuit):
    text = circuit_json(circuit)
    assert circuit_from_json(text) == circuit
    assert circuit_from_json(text.encode()) == circuit


def test_a_circuit_of_results_has_their_question_scores_and_origin():
    assert SAVED.experiment == experiment()
    assert SAVED.edges == EDGES and SAVED.groups == GROUPS
    assert SAVED.scores == SavedScores(
        0.8, 0.4, pytest.approx(0.64), 4, {"brings_back": 75.0, "breaks": 75.0, "faithfulness": 75.0}
    )
    origin = scores_result().provenance
    assert SAVED.fingerprint == origin.fingerprint
    assert SAVED.provenance == origin.rows() | {"model": "demo"}


def test_edges_and_scores_stand_in_the_file_under_their_labels():
    assert HELD["edges"] == [list(edge) for edge in EDGES]
    assert GRAPH.labels(GRAPH.index(HELD["edges"])) == list(EDGES)
    assert HELD["groups"] == {name: list(nodes) for name, nodes in GROUPS}
    assert (HELD["scores"]["brings_back"], HELD["scores"]["breaks"]) == (0.8, 0.4)
    assert HELD["experiment"] == asdict(experiment())
    assert HELD["provenance"]["versions"] == ""


def test_without_random_sets_there_is_no_percentile_and_without_scores_nothing_is_told():
    assert SavedScores.of(scores_result(random=())).percentiles == {}
    bare = SavedCircuit.of(graph_result(), EDGES)
    assert (bare.scores, bare.groups) == (None, ())
    assert circuit_from_json(circuit_json(bare)) == bare


def test_scores_of_other_edges_do_not_leave_with_these():
    with pytest.raises(PathscopeError, match="another set of edges"):
        SavedCircuit.of(graph_result(), EDGES[:2], scores=scores_result())


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("demo", "demo"),
        ("EleutherAI/pythia-70m", "EleutherAI/pythia-70m"),
        ("models/mine", "models/mine"),
        ("/home/ann/secret/mine", "mine"),
        ("/home/ann/mine/", "mine"),
        ("~/mine", "mine"),
        ("~", "a local folder"),
        ("/", "a local folder"),
        ("../mine", "mine"),
        (r"C:\Users\Ann\mine", "mine"),
        ("a/b/c", "c"),
    ],
)
def test_a_folder_of_the_machine_does_not_leave(name, title):
    assert model_title(name) == title
    saved = SavedCircuit.of(graph_result(name), EDGES)
    assert saved.experiment.model == saved.provenance["model"] == title
    assert "ann" not in circuit_json(saved).casefold()


def test_a_circuit_opens_on_its_own_weights_whatever_they_are_called():
    assert SAVED.experiment_on("/elsewhere/mine", SAVED.fingerprint) == experiment("/elsewhere/mine")
    assert SAVED.experiment_on("/elsewhere/mine", "other") == experiment()
    assert replace(SAVED, fingerprint="").experiment_on("/elsewhere/mine", "") == experiment()


@given(st.data())
def test_nothing_but_a_circuit_ever_loads(data):
    """A part of a good file is put in place of something else, at a depth of up to three."""
    held = deepcopy(HELD)
    place: Any = held
    for _ in range(data.draw(st.integers(1, 3))):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        inside, place = place, place[key]
    else:
        place = inside
    if isinstance(place, dict) and data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(_anything)
    try:
        loaded = circuit_from_json(json.dumps(held))
    except PathscopeError:
        return
    assert isinstance(loaded, SavedCircuit)
    assert circuit_from_json(circuit_json(loaded)) == loaded


@given(_anything.map(json.dumps) | _texts | st.binary())
def test_foreign_files_are_refused(text):
    assert len(refusal(text)) < 700


@pytest.mark.parametrize("end", range(0, len(TEXT) - 1, 7))
def test_a_file_that_was_cut_off_is_refused(end):
    assert "cut off, or of another kind" in refusal(TEXT[:end])


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"format": ' * 50_000,
        "1" * 5000,
        b"\xff\xfe\x00",
        b"\x80\x81",
        TEXT.encode("utf-16")[:-1],
    ],
    ids=lambda text: repr(text[:9]),
)
def test_what_breaks_readers_of_json_is_refused(text):
    assert "no readable JSON" in refusal(text)


def test_a_huge_file_is_not_looked_at():
    assert "20,000,001 characters, and a circuit's at most 20,000,000" in refusal(" " * (LONGEST_FILE + 1))


def test_every_edge_of_a_large_model_fits():
    graph = Graph(30, 9)
    whole = SavedCircuit(experiment(), "logit_difference", tuple(graph.labels(graph.edges)))
    assert circuit_from_json(circuit_json(whole)) == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "does not say format 'pathscope circuit'"),
        ({"version": 2}, "saved in layout 2, and this release reads layout 1"),
        ({"version": True}, "version is True, and must be a whole number"),
        ({"experiment": ["demo"]}, "experiment is a list of 1, and must be an object"),
        ({"experiment": {"model": 3}}, r"experiment.model is 3, and must be a text"),
        ({"metric": "accuracy"}, "'accuracy' is no metric of a circuit; there are logit_difference"),
        ({"metric": None}, "metric is None, and must be a text"),
        ({"edges": {}}, "edges is an object of 0, and must be a list"),
        (
            {"edges": [["embed", "logits"], ["embed"]]},
            "edges[1] is a list of 1, and must be a pair of labels",
        ),
        ({"edges": [["logits", "L0H0.q"]]}, "'logits' is no label of what writes"),
        ({"edges": [["embed", "L0H0"]]}, "'L0H0' is no label of what reads"),
        ({"edges": [["L0H0\n", "logits"]]}, r"'L0H0\n' is no label of what writes"),
        ({"edges": [["L٣H0", "logits"]]}, "is no label of what writes"),
        ({"groups": []}, "groups is a list of 0, and must be an object"),
        ({"groups": {"a": "L0H0"}}, "group 'a' is 'L0H0', and must be a list of nodes"),
        ({"groups": {"a": []}}, "The group 'a' has no nodes"),
        ({"groups": {" ": ["L0H0"]}}, "' ' is no name of a group: it has 1 characters"),
        ({"groups": {"x" * 41: ["L0H0"]}}, "has 41 characters, and must have 1 to 40"),
        ({"groups": {"a": ["L0H0.q"]}}, "'L0H0.q' is no label of what is a node"),
        ({"groups": {"a": ["L0H0"], "b": ["L0H0"]}}, "L0H0 is in the group 'b' and in 'a'"),
        ({"groups": {"a": ["L0H0", "L0H0"]}}, "L0H0 is in the group 'a' and in 'a'"),
        ({"scores": 3}, "scores is 3, and must be an object"),
        ({"scores": HELD["scores"] | {"breaks": "1"}}, "scores.breaks is '1', and must be a finite number"),
        ({"scores": HELD["scores"] | {"breaks": float("nan")}}, "scores.breaks is nan, and must be a finite"),
        ({"scores": HELD["scores"] | {"breaks": 10**400}}, "and must be a finite number"),
        ({"scores": HELD["scores"] | {"n_random": -1}}, "scores.n_random is -1, and must be a whole"),
        ({"scores": HELD["scores"] | {"percentiles": None}}, "scores.percentiles is None, and must be an"),
        ({"fingerprint": 7}, "fingerprint is 7, and must be a text"),
        ({"provenance": {"model": 7}}, "provenance, model is 7, and must be a text"),
    ],
)
def test_a_refusal_names_what_is_wrong(change, said):
    assert said in refusal(json.dumps(HELD | change))


def test_two_groups_of_one_name_do_not_leave_as_one():
    with pytest.raises(PathscopeError, match="Two groups have the same name"):
        replace(SAVED, groups=(("a", ("L0H0",)), ("a", ("L0H1",))))


def test_a_field_of_a_later_release_is_left_out():
    assert circuit_from_json(json.dumps(HELD | {"colour": "blue"})) == SAVED
