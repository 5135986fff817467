"""The rooms of the house: who may import whom, and who may load torch; each proof is proved able to fail.

The order of the rooms stands in pyproject.toml, where import-linter reads it.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import analysis

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
FLOORS: list[str] = CONTRACTS[0]["layers"]
ROOMS = [room for floor in FLOORS for room in floor.split(" | ")]

#: Rooms that load torch when they are entered. All others must not: they find and draw a stored result.
LOADS_TORCH = {"attribution", "decoder", "metrics", "patching", "sanity", "sweep"}
#: Imported by file: the bundled models' parts, and the half of a light room that computes.
OPEN = (
    *("analysis.attention_model.", "analysis.demo_model.", "analysis.induction_model."),
    "analysis.answers.compute",
)
HEAVY = {"torch", "transformer_lens", "transformers"}


def modules_loaded_by(code: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter has after running `code`."""
    report = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the `analysis` and the contracts in `directory`."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
        "--no-cache",
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=directory, timeout=120, check=False)


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


def test_rooms_import_downwards_only():
    found = lint(ROOT)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("results", "from analysis.sweep import Sweep"),
        ("attribution", "def late():\n    from analysis.patching import Patching"),
        ("answers", "import analysis.jobs.board"),
        ("store", "import streamlit"),
        ("experiment", "import pickle"),
    ],
)
def test_the_proof_of_the_order_can_fail(tmp_path: Path, room: str, line: str):
    shutil.copytree(ROOT / "analysis", tmp_path / "analysis", ignore=shutil.ignore_patterns("*.safetensors"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "analysis" / room / "planted.py").write_text(line)
    found = lint(tmp_path)
    assert found.returncode != 0
    assert f"analysis.{room}.planted" in found.stdout


def test_a_room_that_the_order_does_not_name_is_noticed(tmp_path: Path):
    shutil.copytree(ROOT / "analysis", tmp_path / "analysis", ignore=shutil.ignore_patterns("*.safetensors"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "analysis" / "helpers").mkdir()
    (tmp_path / "analysis" / "helpers" / "__init__.py").write_text("")
    assert lint(tmp_path).returncode != 0


@pytest.mark.parametrize("room", ["analysis", *(f"analysis.{room}" for room in ROOMS)])
def test_only_the_rooms_that_compute_load_torch(room: str):
    heavy = room.removeprefix("analysis.") in LOADS_TORCH
    assert ("torch" in modules_loaded_by(f"import {room}")) == heavy


@pytest.mark.parametrize(
    "module",
    ["demo_model.examples", "induction_model.examples", "experiment.keys", "models.files", "charts.export"],
)
def test_what_a_stored_result_needs_loads_no_heavy_library(module: str):
    assert modules_loaded_by(f"import analysis.{module}").isdisjoint(HEAVY)


def test_a_module_that_cannot_be_imported_is_no_proof():
    with pytest.raises(AssertionError, match="ModuleNotFoundError"):
        modules_loaded_by("import analysis.no_such_module")


@pytest.mark.parametrize("room", [room for room in ROOMS if (ROOT / "analysis" / room).is_dir()])
def test_every_room_says_what_it_is_for_and_by_which_names_it_is_entered(room: str):
    tree = ast.parse((ROOT / "analysis" / room / "__init__.py").read_text())
    assert ast.get_docstring(tree)
    assert any(isinstance(node, ast.Assign) and "__all__" in ast.unparse(node) for node in tree.body)


@pytest.mark.parametrize("folder", ["analysis", "pages"])
def test_other_rooms_are_entered_through_their_names(folder: str):
    """Nobody reaches past a room's own names into its files."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        own = path.relative_to(ROOT).parts[1] if folder == "analysis" else ""
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.count(".") > 1:
                room = node.module.split(".")[1]
                reached = (
                    node.module.startswith("analysis.") and room != own and not node.module.startswith(OPEN)
                )
                assert not reached, f"{path}:{node.lineno} reaches into {node.module}"


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


def test_pages_leave_the_computing_to_analysis_and_unpickle_nothing():
    forbidden = (*HEAVY, "pickle", "dill", "cloudpickle", "marshal", "shelve")
    assert breaches(ROOT / "pages", *forbidden) == []


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
    assert sorted(analysis.__all__) == sorted(dir(analysis))
    for name in analysis.__all__:
        value = getattr(analysis, name)
        assert value.__name__ == name
        assert value.__module__.startswith("analysis.")
        assert value.__doc__
    with pytest.raises(AttributeError, match="no_such_name"):
        analysis.no_such_name  # noqa: B018 - reading the name is the test


def test_the_release_is_the_same_wherever_it_stands():
    assert analysis.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
