"""Attribution by node as it is drawn: every node in its place with its own number."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.charts import head_paths_chart, node_map_chart, node_positions_chart
from analysis.labels import head_label, node_name
from analysis.requests import HEAD_INPUTS, Experiment
from analysis.results import (
    HeadPathsRequest,
    NodeAttributionRequest,
    NodeAttributionResult,
    PathsResult,
    RunShown,
)
from tests.chart_samples import PROVENANCE
from tests.charts.drawn import as_number, drawing

EXPERIMENT = Experiment("demo", "a", "b", " x", " y")
TOKENS = ("<s>", " Mary", " saw")
N_LAYERS, N_HEADS = 3, 4


def nodes(biases: bool = True) -> NodeAttributionResult:
    """A model in which no two nodes write the same."""
    values = np.random.default_rng(0).normal(size=(2, 1 + N_LAYERS * (N_HEADS + 2), len(TOKENS)))
    if not biases:
        values[:, 1 + N_HEADS :: N_HEADS + 2] = 0.0
    return NodeAttributionResult(
        NodeAttributionRequest(EXPERIMENT),
        PROVENANCE,
        attribution=values,
        logit_difference=values.sum(axis=1) + 0.5,
        bias_difference=0.5,
        clean_tokens=TOKENS,
        corrupted_tokens=("<s>", " John", " saw"),
        n_layers=N_LAYERS,
        n_heads=N_HEADS,
    )


@pytest.mark.parametrize("shown", ["clean", "corrupted", "clean_minus_corrupted"])
@pytest.mark.parametrize("position", [-1, 1])
def test_the_map_has_every_node_with_its_own_number(shown: RunShown, position: int) -> None:
    result = nodes()
    drawn = drawing(node_map_chart(result, shown, position))
    marks = [mark for mark in drawn.marks if mark.told]
    found = {mark.told["node"]: as_number(mark.told["logits"]) for mark in marks}
    clean, corrupted = result.attribution[:, :, position]
    true = {"clean": clean, "corrupted": corrupted, "clean_minus_corrupted": clean - corrupted}[shown]
    assert found == {
        node_name(label): pytest.approx(value, abs=1e-4)
        for label, value in zip(result.labels, true, strict=True)
    }
    place = {mark.told["node"]: (mark.x, mark.y) for mark in marks}
    for layer in range(N_LAYERS):
        row = [head_label(layer, head) for head in range(N_HEADS)] + [f"L{layer} MLP"]
        xs, ys = zip(*(place[node] for node in row), strict=True)
        assert list(xs) == sorted(xs) and len(set(xs)) == len(xs) and len(set(ys)) == 1
        assert place["embedding"][1] < ys[0]
    assert place["L0 MLP"][0] == place["L2 MLP"][0] < place["L0 attention bias"][0]


def test_without_biases_there_is_no_column_of_them() -> None:
    told = {mark.told["node"] for mark in drawing(node_map_chart(nodes(biases=False))).marks if mark.told}
    assert "L0 MLP" in told and not any("bias" in node for node in told)


def test_the_node_that_is_selected_is_framed_and_no_other() -> None:
    def frames(selected: str | None) -> list[tuple[float, float]]:
        marks = drawing(node_map_chart(nodes(), selected=selected)).marks
        return [(mark.x, mark.y) for mark in marks if not mark.told and not mark.text and mark.fill is None]

    assert frames(None) == []
    [frame] = frames("L1H2")
    cell = next(mark for mark in drawing(node_map_chart(nodes())).marks if mark.told.get("node") == "L1H2")
    assert frame == pytest.approx((cell.x, cell.y), abs=1.0)


def test_every_token_of_the_strongest_nodes_has_its_own_number() -> None:
    result = nodes()
    marks = [mark for mark in drawing(node_positions_chart(result, "corrupted")).marks if mark.told]
    found = {(mark.told["node"], mark.told["token"]): as_number(mark.told["logits"]) for mark in marks}
    tokens = ["0 <s>", "1 ·John", "2 ·saw"]
    assert found == {
        (node_name(label), tokens[at]): pytest.approx(result.attribution[1, index, at], abs=1e-4)
        for index, label in enumerate(result.labels)
        for at in range(3)
    }


def head_paths() -> PathsResult:
    """Every path of L1H2, no two alike."""
    out = [(1, 2, 2, head) for head in range(N_HEADS)]
    into = [(0, head, 1, 2) for head in range(N_HEADS)]
    edges = np.array([edge for _ in HEAD_INPUTS for edge in out + into])
    return PathsResult(
        HeadPathsRequest(EXPERIMENT, 1, 2),
        PROVENANCE,
        corrupted_metric=-2.0,
        clean_metric=6.0,
        clean_tokens=TOKENS,
        corrupted_tokens=TOKENS,
        edges=edges,
        components=np.repeat(np.arange(3), 2 * N_HEADS),
        effect=np.random.default_rng(3).normal(size=len(edges)),
        n_layers=N_LAYERS,
        n_heads=N_HEADS,
    )


@pytest.mark.parametrize(("end", "other"), [("source", "destination"), ("destination", "source")])
def test_the_paths_of_a_head_stand_in_three_maps_with_their_own_numbers(end, other) -> None:
    result = head_paths()
    drawn = drawing(head_paths_chart(result, end))
    marks = [mark for mark in drawn.marks if mark.told]
    table = result.table()
    mine = table[table[end] == "L1H2"]
    found = {
        (mark.told[other], mark.told["component"]): as_number(mark.told["effect (logits)"]) for mark in marks
    }
    assert found == {
        (row[other], row["component"]): pytest.approx(row["effect"], abs=1e-4) for _, row in mine.iterrows()
    }
    assert {mark.told[end] for mark in marks} == {"L1H2"}
    for component in HEAD_INPUTS:
        xs = sorted((mark.x, mark.told[other]) for mark in marks if mark.told["component"] == component)
        assert [label for _, label in xs] == sorted(label for _, label in xs)
    spans = [{mark.x for mark in marks if mark.told["component"] == component} for component in HEAD_INPUTS]
    assert max(spans[0]) < min(spans[1]) and max(spans[1]) < min(spans[2])
    titles = {mark.text for mark in drawn.marks}
    assert {"into the query", "into the key", "into the value"} <= titles


def test_both_directions_are_on_one_scale() -> None:
    result = head_paths()
    largest = float(np.abs(result.effect).max())
    for end in ("source", "destination"):
        scale = head_paths_chart(result, end).to_dict()["layer"][0]["encoding"]["color"]["scale"]
        assert scale["domain"] == [pytest.approx(-largest, rel=1e-3), pytest.approx(largest, rel=1e-3)]
