"""Imports run one way, and what must stay light is light; each proof is itself proved able to fail."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import analysis

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformer_lens", "transformers")

#: Needed to find and draw a stored result, before any model is loaded.
LIGHT = (
    "analysis",
    "analysis.cached",
    "analysis.charts",
    "analysis.demo_model",
    "analysis.demo_model.examples",
    "analysis.errors",
    "analysis.jobs",
    "analysis.model_files",
    "analysis.models",
    "analysis.requests",
    "analysis.results",
    "analysis.settings",
)


def modules_loaded_by(code: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter has after running `code`."""
    report = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaches(folder: Path, *forbidden: str) -> list[str]:
    """``file imports module`` for every import of a forbidden package below `folder`."""
    return [
        f"{path.relative_to(folder)} imports {module}"
        for path in sorted(folder.rglob("*.py"))
        for module in imports_of(path)
        if any(module == package or module.startswith(f"{package}.") for package in forbidden)
    ]


@pytest.mark.parametrize("module", LIGHT)
def test_what_a_stored_result_needs_loads_no_heavy_library(module: str):
    assert modules_loaded_by(f"import {module}").isdisjoint(HEAVY)


def test_the_proof_of_lightness_can_fail():
    assert "torch" in modules_loaded_by("import analysis.attribution")
    assert "torch" in modules_loaded_by("from analysis import direct_logit_attribution")


def test_a_module_that_cannot_be_imported_is_no_proof():
    with pytest.raises(AssertionError, match="ModuleNotFoundError"):
        modules_loaded_by("import analysis.no_such_module")


def test_analysis_knows_neither_streamlit_nor_pages():
    assert breaches(ROOT / "analysis", "streamlit", "pages") == []


def test_nothing_unpickles():
    for folder in ("analysis", "pages"):
        assert breaches(ROOT / folder, "pickle", "dill", "cloudpickle", "marshal", "shelve") == []


def page_modules() -> list[str]:
    return [f"pages.{path.stem}" for path in sorted((ROOT / "pages").glob("*.py"))]


def imports_at_the_top_of(page: Path) -> str:
    """The import statements that a page runs before anything of it is drawn."""
    nodes = ast.parse(page.read_text(encoding="utf-8")).body
    return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


@pytest.mark.parametrize("page", sorted((ROOT / "pages").glob("*.py")), ids=lambda page: page.stem)
def test_the_sidebar_does_not_wait_for_the_libraries_of_tables_and_charts(page: Path):
    slow = {"altair", "huggingface_hub", "pandas", *HEAVY}
    assert modules_loaded_by(imports_at_the_top_of(page)).isdisjoint(slow)
    assert modules_loaded_by("import analysis.charts") >= {"altair", "pandas"}


def test_pages_import_only_what_they_share():
    assert breaches(ROOT / "pages", *page_modules(), "app") == []


def test_what_pages_share_imports_no_page():
    assert (ROOT / "pages" / "shared").is_dir()
    assert breaches(ROOT / "pages" / "shared", *page_modules()) == []


def test_pages_leave_the_computing_to_analysis():
    assert breaches(ROOT / "pages", "torch", "transformer_lens", "transformers") == []


@pytest.mark.parametrize(
    "line",
    [
        "import streamlit",
        "import streamlit as st",
        "from streamlit import cache_data",
        "def late():\n    from streamlit.runtime import get_instance",
        "import os, streamlit.testing",
    ],
)
def test_the_search_for_breaches_can_fail(tmp_path: Path, line: str):
    (tmp_path / "module.py").write_text(line)
    assert len(breaches(tmp_path, "streamlit")) >= 1
    assert breaches(tmp_path, "stream", "streamlit2") == []


def test_every_public_name_is_there_and_no_other():
    assert sorted(analysis.__all__) == dir(analysis) == sorted(analysis._HOMES)
    for name in analysis.__all__:
        value = getattr(analysis, name)
        assert value.__name__ == name
        assert value.__module__ == analysis._HOMES[name]
        assert value.__doc__
    with pytest.raises(AttributeError, match="module 'analysis' has no attribute 'no_such_name'"):
        analysis.no_such_name  # noqa: B018 - reading the name is the test


def test_every_homes_module_exists():
    assert all(importlib.util.find_spec(home) for home in analysis._HOMES.values())
