"""Whatever a person has done to the model: the right number, or a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analysis.requests import COMPONENTS, LAYER_NORM_MODES
from tests.runs import Runs
from tests.sweep.judging import ENTRIES, verdict
from tests.sweep.tampering import TABLE, tampered


@pytest.fixture(scope="module", params=TABLE)
def case(request: pytest.FixtureRequest) -> Iterator[tuple[str, Runs]]:
    with tampered(TABLE[request.param]) as runs:
        yield request.param, runs


@pytest.mark.parametrize("layer_norm", LAYER_NORM_MODES)
@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_said_of_a_tampered_model_is_right_or_refused(case, entry, component, layer_norm):
    name, runs = case
    said = verdict(entry, runs, component, layer_norm)
    if TABLE[name].refused:
        assert said.outcome == "refused", said
    elif TABLE[name].name == "nothing" and entry != "estimate":
        assert said.outcome == "right", said
    else:
        assert said.outcome in ("right", "refused"), said
