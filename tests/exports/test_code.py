"""Code that leaves asks the question of the page, as a script and as a notebook, and finds its numbers."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from analysis.exports import (
    Code,
    checks_set_code,
    circuit_code,
    circuit_set_code,
    comparison_code,
    library_code,
    prompt_set_code,
    request_code,
)
from analysis.requests import METRIC_NAMES, Experiment, Request
from analysis.results import (
    AllSourcesRequest,
    AttributionRequest,
    GraphRequest,
    HeadPathsRequest,
    NeuronsRequest,
    NodeAttributionRequest,
    NodeRequest,
    OverviewRequest,
    PathEstimatesRequest,
    PathRequest,
    SanityRequest,
    StrongestPathsRequest,
)
from tests.experiments import on
from tests.exports.running import Tables, check, resolution, run_all
from tests.exports.samples import DEMO, EDGES, GROUPS, experiment
from tests.hostile import HOSTILE

pytestmark = pytest.mark.slow

RUN, POSITION = "clean_minus_corrupted", 3

#: Name -> question, what identifies a row of its table, and the numbers in it.
ALONE: dict[str, tuple[Request[Any], list[str], list[str]]] = {
    "overview": (OverviewRequest(DEMO), ["metric"], ["clean", "corrupted"]),
    "component": (AttributionRequest(DEMO), ["component", "position"], ["attribution"]),
    "layer": (
        AttributionRequest(DEMO, "layer", "corrupted"),
        ["component", "position"],
        ["attribution", "lens"],
    ),
    "head": (AttributionRequest(DEMO, "head"), ["component", "position"], ["attribution"]),
    "nodes": (NodeAttributionRequest(DEMO), ["node", "position"], ["attribution"]),
    "attention": (NodeRequest(DEMO, "L2H5"), ["run", "query", "key"], ["attention"]),
    **{
        f"path_{component}_{mode}_{metric}": (
            PathRequest(DEMO, 0, 7, component, mode, metric),
            ["destination"],
            ["effect"],
        )
        for component, mode, metric in (
            ("q", "exact", "logit_difference"),
            ("k", "frozen", "kl_from_clean"),
            ("v", "exact", "answer_log_probability"),
            ("v", "frozen", "answer_probability"),
        )
    },
}
#: Families whose heads, norms or positions differ, whose writes are added as they are.
FAMILIES = ("gpt2", "llama-grouped", "gpt-j")
WITH_ANALYSIS: dict[str, tuple[Request[Any], str, list[str], list[str]]] = {
    "component": (AttributionRequest(DEMO), "table(-1)", ["component"], ["attribution"]),
    "nodes": (NodeAttributionRequest(DEMO), f"table({RUN!r}, -1)", ["node"], ["attribution"]),
    "path": (PathRequest(DEMO, 0, 7, "v", "exact"), "table()", ["destination"], ["effect", "recovery"]),
    "head_paths": (
        HeadPathsRequest(DEMO, 1, 0),
        "table()",
        ["source", "destination", "component"],
        ["effect"],
    ),
    "strongest": (StrongestPathsRequest(DEMO), "table()", ["source", "destination", "component"], ["effect"]),
    "estimates": (PathEstimatesRequest(DEMO), "table()", ["source", "destination", "component"], ["effect"]),
    "all_sources": (AllSourcesRequest(DEMO, "v"), "table(40)", ["source", "destination"], ["effect"]),
    "graph": (GraphRequest(DEMO), "table()", ["writer", "reader"], ["share", "brings_back", "breaks"]),
    "neurons": (NeuronsRequest(DEMO, "MLP3", 14), "table('clean')", ["neuron"], ["clean", "corrupted"]),
    "attention": (NodeRequest(DEMO, "L2H5"), "attention_table()", ["run", "query", "key"], ["attention"]),
}


def page_table(name: str, result: Any) -> pd.DataFrame:
    """What a page shows of a result that the library answers alone."""
    if name == "overview":
        return pd.DataFrame(
            [(name, *both) for name, both in result.metrics.items()], columns=["metric", "clean", "corrupted"]
        )
    if name == "nodes":
        return result.table(RUN, POSITION)
    if name == "attention":
        return result.attention_table()
    return (
        result.table(POSITION if name in ("component", "layer") else None)
        if "path" not in name
        else result.table()
    )


def code_alone(name: str, result: Any) -> Code:
    code = library_code(result, RUN, POSITION if name in ("component", "layer", "nodes") else None)
    assert code is not None
    return code


def family_paths(directory: Callable[[str], Path]) -> dict[str, PathRequest]:
    return {
        f"{family}_{component}_{mode}": PathRequest(on(directory(family)), 0, 1, component, mode)
        for family in FAMILIES
        for component in "qkv"
        for mode in ("exact", "frozen")
    }


@pytest.fixture(scope="module")
def alone(
    results, family_directory, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tables, dict[str, Any]]:
    codes = {name: code_alone(name, results(asked)) for name, (asked, *_) in ALONE.items()}
    codes |= {
        name: code_alone("path", results(asked)) for name, asked in family_paths(family_directory).items()
    }
    return run_all(codes, tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def with_analysis(results, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    codes = {name: request_code(asked, table) for name, (asked, table, *_) in WITH_ANALYSIS.items()}
    codes |= {
        "sanity": request_code(SanityRequest(DEMO)),
    }
    return run_all(codes, tmp_path_factory.mktemp("with_analysis"))[0]


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
@pytest.mark.parametrize("name", ALONE)
def test_the_library_alone_finds_the_numbers_of_the_page(alone, results, name: str, suffix: str):
    request, keys, numbers = ALONE[name]
    found, result = alone[0][f"{name}{suffix}"]["table"], results(request)
    # The resolution of a probability is that of the baseline; a larger one has a larger rounding error.
    share = 3e-5 if "probability" in name else 0.0
    check(found, page_table(name, result), keys, numbers, resolution(result), share)


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_the_library_alone_finds_the_next_tokens_of_the_page(alone, results, suffix: str):
    found, result = alone[0][f"overview{suffix}"]["next_tokens"], results(OverviewRequest(DEMO))
    for run in ("clean", "corrupted"):
        own = found[found["run"] == run]
        top = pd.DataFrame(getattr(result, f"{run}_top"), columns=["token", "logit", "probability"])
        assert list(own["token"]) == list(top["token"])
        np.testing.assert_allclose(own[["logit", "probability"]], top[["logit", "probability"]], atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_library_alone_patches_paths_of_other_families(alone, results, family_directory, family: str):
    for name, request in family_paths(family_directory).items():
        if name.startswith(family):
            result = results(request)
            assert result.table()["effect"].abs().max() > 100 * resolution(result)
            check(
                alone[0][f"{name}.py"]["table"],
                result.table(),
                ["destination"],
                ["effect"],
                resolution(result),
            )


def test_nothing_of_this_repository_is_imported_where_the_library_is_enough(alone):
    told = alone[1]
    assert "transformer_lens" in told["modules"] and "analysis" not in told["modules"]
    assert "pages" not in told["modules"] and "streamlit" not in told["modules"]


def test_a_model_whose_writes_are_normed_is_refused_with_the_way_out(results, family_directory, tmp_path):
    code = code_alone("path", results(PathRequest(on(family_directory("gemma2")), 0, 1)))
    with pytest.raises(AssertionError, match="take the script that needs Pathscope"):
        run_all({"gemma2": code}, tmp_path)


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
@pytest.mark.parametrize("name", WITH_ANALYSIS)
def test_a_script_prints_the_table_of_the_page(with_analysis, results, name: str, suffix: str):
    request, table, keys, numbers = WITH_ANALYSIS[name]
    result = results(request)
    expected = eval(f"result.{table}", {"result": result})
    found = with_analysis[f"{name}{suffix}"]["table"]
    assert list(found.columns) == list(expected.columns) and len(found) == len(expected)
    check(found, expected, keys, numbers, resolution(result))


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_the_checks_are_measured_anew(with_analysis, results, suffix: str):
    found, checks = with_analysis[f"sanity{suffix}"]["table"], results(SanityRequest(DEMO)).checks
    assert list(found["check"]) == [name for name, *_ in checks]
    np.testing.assert_allclose(found["measured"], [measured for *_, measured, _ in checks], atol=1e-4)


# What code holds, without running it


def every_code(asked: Experiment, results: Callable[[Request[Any]], Any]) -> list[Code]:
    """One of each kind on `asked`, by the results of another experiment."""
    alone = []
    for name, (request, *_) in ALONE.items():
        result = results(request)
        alone.append(code_alone(name, replace(result, request=replace(request, experiment=asked))))
    return [
        *alone,
        *(request_code(replace(request, experiment=asked)) for request, *_ in WITH_ANALYSIS.values()),
        circuit_code(asked, EDGES, "kl_from_clean", GROUPS),
        prompt_set_code([asked, asked], "logit_difference", "exact", "clean"),
        circuit_set_code([asked, asked], EDGES, "kl_from_clean"),
        comparison_code(StrongestPathsRequest(asked), StrongestPathsRequest(asked)),
        comparison_code(*2 * (NodeAttributionRequest(asked),), 2 * (("clean", 0),)),
        checks_set_code([asked, asked], EDGES),
    ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_stands_in_a_prompt_stays_a_text(results, text: str):
    asked = Experiment(text, f'"""{text}', f"'{text}\\", "$metric", "{edges}$$")
    for code in every_code(asked, results):
        for source in (code.script(), *(cell for _, cell in code.cells)):
            held = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
            assert not (held & {"$pairs", "$model"})
            source.encode()
        held = {node.value for node in ast.walk(ast.parse(code.script())) if isinstance(node, ast.Constant)}
        assert {asked.clean, asked.corrupted, asked.model} <= held


@pytest.mark.parametrize("metric", METRIC_NAMES)
@pytest.mark.parametrize("groups", [(), GROUPS])
def test_the_paths_of_a_circuit_stand_in_its_code(metric, groups):
    body = ast.parse(circuit_code(experiment(), EDGES, metric, groups).script()).body
    held = {ast.unparse(node.targets[0]): node.value for node in body if isinstance(node, ast.Assign)}
    assert ast.literal_eval(held["edges"]) == list(EDGES)
    assert ("groups" in held) == bool(groups)
    assert not groups or ast.literal_eval(held["groups"]) == dict(groups)


def test_an_empty_circuit_is_code_too():
    ast.parse(circuit_code(experiment(), (), "logit_difference").script())


def test_a_notebook_is_a_valid_one_with_the_cells_of_the_script(results):
    for code in every_code(DEMO, results):
        notebook = nbformat.reads(code.notebook(), as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        assert cells == [source for _, source in code.cells]
        positions = [code.script().index(source) for source in cells]
        assert positions == sorted(positions)
        assert json.loads(code.notebook())["cells"][0]["cell_type"] == "markdown"


def test_code_says_first_what_it_needs(results):
    for code in every_code(DEMO, results):
        docstring = ast.get_docstring(ast.parse(code.script())) or ""
        alone = "needs TransformerLens 4.3 alone" in docstring
        assert alone == (code.needs == "TransformerLens") == ("from analysis" not in code.script())
        assert alone or "needs Pathscope's package `analysis`" in docstring
        assert docstring.split("\n\n", 1)[1] in nbformat.reads(code.notebook(), 4).cells[0].source


def test_of_an_mlp_there_is_no_attention_to_ask_for(results):
    assert library_code(results(NodeRequest(DEMO, "MLP1"))) is None
    assert library_code(results(StrongestPathsRequest(DEMO))) is None
