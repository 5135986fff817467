"""The sentence on each page, made from hand-made numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pages.shared.findings import largest_part, strongest_path
from tests.chart_samples import PROVENANCE
from tests.pages.looking import See, texts
from tests.pages.stored_results import a_path, a_sweep, an_attribution, the_strongest

CLEAN, CORRUPTED = 3.25, -2.5


def a_path_of(effect: float, **provenance: float):
    result = a_path()
    values = np.where(np.isnan(result.values), np.nan, CORRUPTED)
    values[2, 1] += effect
    return replace(result, values=values, provenance=replace(PROVENANCE, **provenance))


def test_the_strongest_path_is_named_with_its_share() -> None:
    said = strongest_path(a_path_of(-1.15))
    assert said.startswith("L0H3 tells L2H1's query: \N{MINUS SIGN}1.150 logits, ")
    assert "\N{MINUS SIGN}20.0 % of the difference, through this one path. This is one prompt pair." in said


def test_noise_is_no_finding() -> None:
    assert strongest_path(a_path_of(0.05)).startswith("No single path into a query stands out")
    assert "below what rounding" in strongest_path(a_path_of(0.05, resolution=0.1))


def test_a_metric_that_does_not_move_has_no_share() -> None:
    said = strongest_path(replace(a_path_of(-1.15), clean_metric=CORRUPTED))
    assert "L0H3 tells L2H1" in said and "%" not in said


def test_an_estimate_is_said_to_be_one() -> None:
    whole, some = a_sweep(), a_sweep(measured="some")
    assert "estimated" not in strongest_path(whole)
    strongest = some.table(1).iloc[0]
    assert ("estimated" in strongest_path(some)) is not bool(strongest["measured"])
    assert f"{strongest['source']} tells {strongest['destination']}" in strongest_path(some)


@pytest.mark.parametrize("unit", ["component", "head"])
def test_the_part_that_writes_most_is_named(unit: str) -> None:
    result = an_attribution(unit=unit)
    largest = int(np.abs(result.attribution[:, 2]).argmax())
    assert largest_part(result, 2).startswith(f"{result.labels[largest]} writes most")
    assert f"{result.logit_difference[2]:.3f}".lstrip("-") in largest_part(result, 2)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("path_patching", lambda: strongest_path(a_path())),
        ("all_sources", lambda: strongest_path(the_strongest(0, 3, "q"))),
        ("direct_logit_attribution", lambda: largest_part(an_attribution(), 4)),
    ],
)
def test_every_page_says_what_it_found(see: See, page: str, said) -> None:
    assert said() in texts(see(page))
