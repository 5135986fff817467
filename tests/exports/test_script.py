"""The script that leaves runs by itself and prints the numbers that the page shows."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.answers.compute import compute
from analysis.demo_model.examples import EXAMPLES
from analysis.exports import circuit_python
from analysis.requests import METRIC_NAMES, Experiment
from analysis.results import EdgeSetsRequest
from analysis.store.store import Store
from tests.experiments import on
from tests.exports.samples import EDGES, GROUPS, experiment
from tests.hostile import HOSTILE

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = EXAMPLES[0]
DEMO = Experiment("demo", EXAMPLE.clean, EXAMPLE.corrupted, EXAMPLE.answer, EXAMPLE.foil)
OF_DEMO = (
    ("embed", "L0H3.v"),
    ("L0H3", "L1H2.k"),
    ("L1H2", "L3H1.q"),
    ("MLP2", "L3H1.v"),
    ("L3H1", "MLP3"),
    ("L2H5", "logits"),
    ("L3H1", "logits"),
    ("MLP3", "logits"),
)


def printed(script: str, folder: Path) -> dict[str, float]:
    """What a script prints when it is run in the root, by what stands before each number."""
    path = folder / "circuit.py"
    path.write_text(script, encoding="utf-8")
    command = [sys.executable, "-c", "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"]
    run = subprocess.run([*command, str(path)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    lines = (line.rpartition(" ") for line in run.stdout.splitlines())
    return {words.strip(): float(number) for words, _, number in lines}


def check(experiment: Experiment, edges, metric, tmp_path: Path) -> None:
    ends = [edge for edge in edges if edge[1] == "logits"]
    sets = (edges, tuple(edge for edge in ends if edge[0][0] == "L"))
    expected = compute(EdgeSetsRequest(experiment, sets, metric), Store.open(tmp_path / "store"))
    groups = (("it's", tuple({writer for writer, _ in sets[1]})), ("$end", ("logits",)))
    found = printed(circuit_python(experiment, edges, metric, groups), tmp_path)
    assert found == {
        "brings back": pytest.approx(expected.brings_back[0], abs=2e-6),
        "breaks": pytest.approx(expected.breaks[0], abs=2e-6),
        "faithfulness": pytest.approx(expected.faithfulness[0], abs=2e-6),
        "\"it's\" to '$end': brings back": pytest.approx(expected.brings_back[1], abs=2e-6),
    }
    assert len({round(value, 4) for value in found.values()}) == 4


def test_it_prints_the_scores_of_the_bundled_model(tmp_path):
    check(DEMO, OF_DEMO, "logit_difference", tmp_path)


def test_a_local_folder_stands_in_it_as_given(tmp_path, family_directory):
    check(
        on(family_directory("gpt2")),
        (("embed", "L0H1.v"), ("L0H1", "L1H0.q"), ("L1H0", "logits"), ("MLP1", "logits")),
        "answer_log_probability",
        tmp_path,
    )


@pytest.mark.parametrize("metric", METRIC_NAMES)
@pytest.mark.parametrize("groups", [(), GROUPS])
def test_every_text_stands_in_it_as_itself(metric, groups):
    for text in HOSTILE.values():
        asked = Experiment(text, f'"""{text}', f"'{text}\\", "$metric", "{edges}")
        body = ast.parse(circuit_python(asked, EDGES, metric, groups)).body
        held: dict[str, Any] = {
            ast.unparse(node.targets[0]): node.value for node in body if isinstance(node, ast.Assign)
        }
        given = {word.arg: ast.literal_eval(word.value) for word in held["experiment"].keywords}
        assert Experiment(**given) == asked
        assert ast.literal_eval(held["edges"]) == list(EDGES)
        assert ("groups" in held) == bool(groups)
        assert not groups or ast.literal_eval(held["groups"]) == dict(groups)
        circuit_python(experiment(), EDGES, metric, groups).encode()


def test_an_empty_circuit_is_a_script_too():
    ast.parse(circuit_python(experiment(), (), "logit_difference"))
