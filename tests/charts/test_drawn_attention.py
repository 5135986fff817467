"""A head's attention as it is drawn: every cell at its tokens, with its own number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.charts import attention_chart, read_from_chart
from analysis.errors import PathscopeError
from analysis.requests import Experiment
from analysis.results import NodeRequest, NodeResult, PatternShown, WriteRead
from tests.chart_samples import PROVENANCE
from tests.charts.drawn import as_number, drawing

CLEAN, CORRUPTED = ("<s>", " Mary", " saw"), ("<s>", " John", " saw")
EDGE = ("L0H1", "L1H0.q")


def node(edge: tuple[str, str] | None = EDGE) -> NodeResult:
    """Patterns in which no two numbers are alike."""
    weights = np.random.default_rng(0).random((3 if edge else 2, 3, 3)) * np.tri(3)
    return NodeResult(
        request=NodeRequest(Experiment("demo", "a", "b", " x", " y"), "L1H0", edge),
        provenance=PROVENANCE,
        shape=(2, 2, True, False),
        clean_metric=1.0,
        corrupted_metric=0.0,
        clean_tokens=CLEAN,
        corrupted_tokens=CORRUPTED,
        attention=weights / weights.sum(-1, keepdims=True),
        by_source=np.random.default_rng(1).normal(size=(2, 3, 3)) * np.tri(3),
        answer_minus_foil=np.zeros((2, 3)),
        promotion=np.zeros((2, 3, 2)),
        promoted_ids=np.zeros((2, 3, 2), dtype=int),
        promoted_tokens=((("x", "y"),) * 3,) * 2,
        edge_worth=np.zeros(2),
    )


@pytest.mark.parametrize(
    ("shown", "expected", "tokens"),
    [
        ("clean", lambda a: a[0], CLEAN),
        ("corrupted", lambda a: a[1], CORRUPTED),
        ("patched", lambda a: a[2], CORRUPTED),
        ("clean_minus_corrupted", lambda a: a[0] - a[1], CLEAN),
        ("patched_minus_corrupted", lambda a: a[2] - a[1], CORRUPTED),
    ],
)
def test_every_cell_stands_at_its_tokens_with_its_number(shown: PatternShown, expected, tokens) -> None:
    result = node()
    marks = [mark for mark in drawing(attention_chart(result, shown)).marks if mark.told]
    names = [f"{index}: {token.replace(' ', '·')}" for index, token in enumerate(tokens)]
    found = {(mark.told["reads"], mark.told["is read"]): as_number(mark.told["attention"]) for mark in marks}
    true = expected(result.attention)
    assert found == {
        (names[reads], names[read]): pytest.approx(true[reads, read], abs=6e-4)
        for reads in range(3)
        for read in range(reads + 1)
    }
    by_row = sorted({(mark.y, mark.told["reads"]) for mark in marks})
    assert [name for _, name in by_row] == names
    by_column = sorted({(mark.x, mark.told["is read"]) for mark in marks})
    assert [name for _, name in by_column] == names


def test_without_an_edge_there_is_no_patched_pattern() -> None:
    with pytest.raises(PathscopeError, match="no attention pattern 'patched'"):
        attention_chart(node(None), "patched")


def test_later_tokens_are_grey_and_no_measurement() -> None:
    marks = drawing(attention_chart(node(), "clean")).marks
    grey = {(mark.x, mark.y) for mark in marks if mark.fill == (0xCF, 0xD2, 0xD7)}
    told = {(mark.x, mark.y) for mark in marks if mark.told}
    assert len(grey) == 3 and len(told) == 6 and not grey & told
    across, down = (sorted({place[axis] for place in told}) for axis in (0, 1))
    assert all(across.index(x) > down.index(y) for x, y in grey)


def test_a_small_difference_looks_pale() -> None:
    flat = node()
    flat.attention[1] = flat.attention[0]
    flat.attention[1, 2] += (0.001, -0.001, 0.0)
    scale = attention_chart(flat, "clean_minus_corrupted").to_dict()["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == [-0.01, 0.01]


@pytest.mark.parametrize("shown", ["clean", "clean_minus_corrupted"])
def test_what_is_written_of_each_token_stands_at_its_tokens_in_logits(shown: WriteRead) -> None:
    result = node()
    marks = [mark for mark in drawing(read_from_chart(result, shown)).marks if mark.told]
    clean, corrupted = result.by_source
    true = clean if shown == "clean" else clean - corrupted
    names = [f"{index}: {token.replace(' ', '·')}" for index, token in enumerate(CLEAN)]
    found = {(mark.told["reads"], mark.told["is read"]): as_number(mark.told["logits"]) for mark in marks}
    assert found == {
        (names[reads], names[read]): pytest.approx(true[reads, read], abs=1e-4)
        for reads in range(3)
        for read in range(reads + 1)
    }


def test_where_a_write_is_no_sum_over_tokens_it_is_said() -> None:
    with pytest.raises(PathscopeError, match="no sum over the tokens"):
        read_from_chart(replace(node(), by_source=np.empty((2, 0, 0))), "clean")
