"""A head's attention as it is drawn: every cell at its tokens, with its own number."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.charts import attention_chart
from analysis.errors import PathscopeError
from analysis.requests import Experiment
from analysis.results import NodeRequest, NodeResult, PatternShown
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
