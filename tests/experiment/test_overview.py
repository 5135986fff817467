"""A forgotten space before answer or foil is noticed, and only where it is one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.answers import answer
from analysis.demo_model.examples import EXAMPLES
from analysis.requests import Experiment
from analysis.results import OverviewRequest

FIRST = EXAMPLES[0]
EXPERIMENT = Experiment("demo", FIRST.clean, FIRST.corrupted, FIRST.answer, FIRST.foil)


@pytest.mark.parametrize(
    ("answer_", "foil", "missing"),
    [
        (" Mary", " John", ()),
        ("Mary", " John", ("answer",)),
        (" Mary", "John", ("foil",)),
        ("Mary", "John", ("answer", "foil")),
        (" Mary", ".", ()),
    ],
)
def test_a_missing_space_is_noticed(answer_: str, foil: str, missing: tuple[str, ...]) -> None:
    result = answer(OverviewRequest(replace(EXPERIMENT, answer=answer_, foil=foil))).result
    assert result.better_with_a_space == missing
