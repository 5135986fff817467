"""The script of a question asks that very question, and prints the numbers that the page shows."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.answers.compute import compute
from analysis.demo_model.examples import EXAMPLES
from analysis.exports import request_python
from analysis.requests import Experiment, Request
from analysis.results import AttributionRequest, HeadPathsRequest, NodeAttributionRequest, PathRequest
from analysis.store.store import Store
from tests.exports.samples import experiment
from tests.hostile import HOSTILE

ROOT = Path(__file__).resolve().parents[2]
DEMO = Experiment("demo", *(getattr(EXAMPLES[0], key) for key in ("clean", "corrupted", "answer", "foil")))


def printed(script: str, folder: Path) -> list[str]:
    path = folder / "asked.py"
    path.write_text(script, encoding="utf-8")
    command = [sys.executable, "-c", "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"]
    run = subprocess.run([*command, str(path)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.parametrize(
    ("request_", "table", "label", "number"),
    [
        (PathRequest(DEMO, 0, 7, "v", "exact"), "", "destination", "effect"),
        (HeadPathsRequest(DEMO, 1, 0), "", "destination", "effect"),
        (AttributionRequest(DEMO, "head", "corrupted"), "-1", "component", "attribution"),
        (NodeAttributionRequest(DEMO), "'clean_minus_corrupted', -1", "node", "attribution"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Request) else "",
)
def test_a_script_prints_the_table_of_the_page(request_, table: str, label: str, number: str, tmp_path: Path):
    result = compute(request_, Store.open(tmp_path / "store"))
    expected = result.table(*([] if not table else eval(f"({table},)")))
    lines = printed(request_python(request_, table), tmp_path)
    rows = [line.split() for line in lines[-len(expected) :]]
    column = list(expected.columns).index(number) + 1
    assert [float(row[-(len(expected.columns) + 1 - column)]) for row in rows] == pytest.approx(
        list(expected[number]), abs=2e-6
    )
    assert all(str(one) in line for one, line in zip(expected[label], lines[-len(expected) :], strict=True))


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_stands_in_a_prompt_stays_a_text(text: str):
    asked = PathRequest(replace(experiment(), clean=text, model=text), 0, 0)
    found: dict[str, object] = {}
    script = request_python(asked)
    compile(script, "asked.py", "exec")
    block = script[script.index("experiment = ") : script.index("result = ")]
    exec(block, {"Experiment": Experiment}, found)
    assert found["experiment"] == asked.experiment
