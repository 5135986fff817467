"""Code that brings several answers together, of a circuit, a set or a comparison, finds their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analysis.compare import (
    Comparison,
    attribution_comparison,
    path_comparison,
    strongest_comparison,
    sweep_comparison,
)
from analysis.exports import (
    checks_set_code,
    circuit_code,
    circuit_set_code,
    comparison_code,
    prompt_set_code,
)
from analysis.requests import Request
from analysis.results import (
    AllSourcesRequest,
    ChosenPathsRequest,
    EdgeSetsRequest,
    NodeAttributionRequest,
    OverviewRequest,
    PathRequest,
    PathsResult,
    SanityRequest,
    StrongestPathsRequest,
)
from analysis.sets import node_agreement, path_agreement, paths_left, paths_to_compare
from tests.exports.running import Tables, check, run_all
from tests.exports.samples import BETWEEN, DEMO, ENDS, OF_DEMO, OTHER

pytestmark = pytest.mark.slow

RUN = "clean_minus_corrupted"
Ask = Callable[[Request[Any]], Any]

#: Name -> two questions with what of them is compared, and the comparison of a page.
COMPARED: dict[str, tuple[tuple[Any, ...], Callable[[Any, Any, Ask], Comparison]]] = {
    "attributions": (
        (NodeAttributionRequest(DEMO), NodeAttributionRequest(OTHER), (("clean", 14), ("corrupted", 10))),
        lambda a, b, _: attribution_comparison((a, "clean", 14), (b, "corrupted", 10)),
    ),
    "paths": (
        (PathRequest(DEMO, 0, 7, "v", "frozen"), PathRequest(DEMO, 0, 7, "v", "exact")),
        lambda a, b, _: path_comparison(a, b),
    ),
    "strongest": (
        (StrongestPathsRequest(DEMO, "exact"), StrongestPathsRequest(OTHER, "exact")),
        lambda a, b, ask: strongest_comparison(a, b, left_of(a, b, ask)),
    ),
    "sweeps": (
        (AllSourcesRequest(DEMO, "v"), AllSourcesRequest(OTHER, "v")),
        lambda a, b, _: sweep_comparison(a, b),
    ),
}


def left_of(a: PathsResult, b: PathsResult, ask: Ask) -> tuple[PathsResult | None, PathsResult | None]:
    """What is measured beside the strongest of each."""
    compared = paths_to_compare([a, b])
    one, other = (
        ask(ChosenPathsRequest(result.request.experiment, paths, "exact")) if paths else None
        for result in (a, b)
        for paths in (paths_left(result, compared),)
    )
    return one, other


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    codes = {
        "circuit": circuit_code(DEMO, OF_DEMO, "logit_difference", BETWEEN),
        "set": prompt_set_code([DEMO, OTHER], "logit_difference", "exact", RUN),
        "circuit set": circuit_set_code([DEMO, OTHER], OF_DEMO, "logit_difference"),
        "checks set": checks_set_code([DEMO, OTHER], OF_DEMO),
    }
    codes |= {name: comparison_code(*asked) for name, (asked, _) in COMPARED.items()}
    return run_all(codes, tmp_path_factory.mktemp("several"))[0]


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_a_circuit_is_measured_anew(several, results, suffix: str):
    found = several[f"circuit{suffix}"]["table"]
    expected = results(EdgeSetsRequest(DEMO, (OF_DEMO, ENDS)))
    assert list(found["paths"]) == ["all", "\"it's\" to '$end'"]
    for score in ("brings_back", "breaks", "faithfulness"):
        np.testing.assert_allclose(found[score], getattr(expected, score), atol=2e-6)
    assert found[["brings_back", "breaks"]].round(4).nunique().min() == 2


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_a_prompt_set_is_asked_anew(several, results, suffix: str):
    found, experiments = several[f"set{suffix}"], (DEMO, OTHER)
    metrics = [results(OverviewRequest(one)).metrics["logit_difference"] for one in experiments]
    np.testing.assert_allclose(found["metrics"][["clean", "corrupted"]], metrics, atol=1e-6)
    nodes = node_agreement([results(NodeAttributionRequest(one)) for one in experiments], RUN).table()
    check(found["nodes"], nodes, ["item"], ["mean", "prompt_1", "prompt_2"], 1e-5)
    strongest = [results(StrongestPathsRequest(one, "exact")) for one in experiments]
    agreement = path_agreement(strongest, left_of(strongest[0], strongest[1], results)).table()
    assert list(found["table"]["item"][:3]) == list(agreement["item"][:3])
    check(found["table"], agreement, ["item"], ["mean", "prompt_1", "prompt_2"], 1e-4)


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_a_circuit_and_the_checks_are_asked_anew_of_a_set(several, results, suffix: str):
    found = several[f"circuit set{suffix}"]["table"]
    expected = [results(EdgeSetsRequest(one, (OF_DEMO,))) for one in (DEMO, OTHER)]
    differences = np.array([result.difference for result in expected])
    assert list(found["prompt"]) == ["1", "2", "all"]
    for score in ("brings_back", "breaks", "faithfulness"):
        shares = np.array([getattr(result, score)[0] for result in expected])
        ratio = (shares * differences).sum() / differences.sum()
        np.testing.assert_allclose(found[score], [*shares, ratio], atol=2e-6)
    checks = several[f"checks set{suffix}"]["table"]
    names = [name for name, *_ in results(SanityRequest(DEMO, OF_DEMO)).checks]
    assert list(checks["check"]) == names and set(checks["holds"]) == set(checks["prompts"]) == {2}


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
@pytest.mark.parametrize("name", COMPARED)
def test_both_sides_of_a_comparison_are_asked_anew(several, results, name: str, suffix: str):
    (ours, theirs, *_), compare = COMPARED[name]
    expected = compare(results(ours), results(theirs), results).table()
    found = several[f"{name}{suffix}"]["table"]
    assert len(found) == len(expected) and expected["difference"].abs().max() > 0.01
    check(found, expected, ["item"], ["a", "b", "difference"], 1e-4)
