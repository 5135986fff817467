"""The sentence on each page, made from hand-made numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.results import KnownPaths
from pages.shared.findings import estimates_missed, largest_part, scale_grown, strongest_path
from tests.chart_samples import PROVENANCE
from tests.pages.looking import See, texts
from tests.pages.stored_results import a_path, a_sweep, an_attribution, keep, the_estimates, the_strongest

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


def a_sweep_with(estimate: float, true: float, **provenance: float):
    """A finished sweep, each path estimated as it is measured, but for L0H1 to L2H3."""
    result = a_sweep()
    values, effect = result.values.copy(), result.values - CORRUPTED
    effect[0, 1, 2, 3], values[0, 1, 2, 3] = estimate, CORRUPTED + true
    return replace(result, values=values, estimate=effect, provenance=replace(PROVENANCE, **provenance))


def test_where_measured_and_estimated_differ_by_much_is_said_with_both() -> None:
    said = estimates_missed(a_sweep_with(0.77, 2.23))
    assert said is not None and "at 1 of the 48 paths measured" in said
    assert said.endswith("Most at L0H1 to L2H3: estimated +0.77, measured +2.23 logits.")
    turned = estimates_missed(a_sweep_with(0.77, -0.5))
    assert turned is not None and "estimated +0.77, measured \N{MINUS SIGN}0.50" in turned


@pytest.mark.parametrize(("estimate", "true"), [(0.77, 0.8), (0.77, 0.6), (0.001, 0.05), (0.0, 0.0)])
def test_an_estimate_that_holds_or_is_of_hardly_anything_is_no_miss(estimate: float, true: float) -> None:
    said = estimates_missed(a_sweep_with(estimate, true))
    assert said is not None and said.startswith("The estimate holds: of the 48 paths measured")


def test_rounding_is_no_miss() -> None:
    said = estimates_missed(a_sweep_with(0.2, 0.5, resolution=0.6))
    assert said is not None and "holds" in said


def test_without_an_estimate_or_a_measurement_nothing_is_said_of_them() -> None:
    whole = a_sweep_with(0.77, 2.23)
    assert estimates_missed(replace(whole, estimate=np.full_like(whole.values, np.nan))) is None
    assert estimates_missed(replace(whole, values=np.full_like(whole.values, np.nan))) is None


def test_a_scale_that_grows_says_from_where_to_where() -> None:
    said = scale_grown(2.0, 2.1, 2.5, "logits", running=True)
    assert said is not None and "measured at 2.10 logits" in said and "from 2.00 to 2.50" in said
    assert scale_grown(2.0, 1.9, 2.0, "logits", running=True) is None
    assert scale_grown(None, 1.9, 2.0, "logits", running=False) is None
    assert "steps of 1, 2 and 5" in str(scale_grown(None, 1.9, 2.0, "logits", running=True))


@pytest.mark.parametrize("measured", ["some", "all"])
def test_the_page_of_all_sources_says_how_the_estimate_does(see: See, measured: str) -> None:
    result = a_sweep(measured=measured)
    result = replace(result, estimate=np.where(result.causal, 5.0, np.nan))
    keep(result)
    known = KnownPaths.of(the_estimates(), the_strongest(0, 3, "q"))
    shown = result if result.complete else known.completing(result)
    assert str(estimates_missed(shown)) in texts(see("all_sources"))
