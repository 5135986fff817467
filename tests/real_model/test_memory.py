"""What prompts of a real model take of memory stays below what was told before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.answers import answer
from analysis.experiment.budget import prompt_bytes
from analysis.results import AttributionRequest, OverviewRequest
from tests.benchmarks.peak import peak_above_start
from tests.real_model.conftest import RealModel


@pytest.mark.usefixtures("own_store")
def test_no_more_memory_is_taken_than_was_told(real_model: RealModel):
    given = real_model.experiment
    padding = "The store was open on that day, and many people were in it. " * 20
    long = replace(given, clean=padding + given.clean, corrupted=padding + given.corrupted)
    with peak_above_start() as peak:
        tokens = answer(OverviewRequest(long)).result.clean_tokens
        answer(AttributionRequest(long, "head", "clean"))
    told = prompt_bytes(real_model.model.cfg, len(tokens))
    assert 250 < len(tokens) < 400
    assert told / 4 < peak.bytes < 1.1 * told
