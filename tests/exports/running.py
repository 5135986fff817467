"""Code that has left is run, in a process of its own, as a script and as a notebook, and its tables read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.exports import Code
from analysis.exports.library_code import FOLDERS

ROOT = Path(__file__).resolve().parents[2]

#: Runs each file in a namespace of its own, and tells every table by file and name, and the modules loaded.
_RUNNER = """
import importlib.util, json, runpy, sys
from pathlib import Path

def run(path):
    if path.suffix == ".py":
        return runpy.run_path(str(path), run_name="__main__")
    namespace = {"__name__": "__main__"}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile(cell["source"], path.name, "exec"), namespace)
    return namespace

tables = {}
for path in map(Path, sys.argv[2:]):
    found = run(path)
    tables[path.name] = {
        name: value.to_dict("list") for name, value in found.items() if type(value).__name__ == "DataFrame"
    }
told = {"tables": tables, "modules": sorted({name.partition(".")[0] for name in sys.modules})}
told["has_analysis"] = importlib.util.find_spec("analysis") is not None
Path(sys.argv[1]).write_text(json.dumps(told))
"""

Tables = Mapping[str, Mapping[str, pd.DataFrame]]


def run_all(codes: Mapping[str, Code], folder: Path) -> tuple[Tables, dict[str, Any]]:
    """The tables that the code of each name leaves, as ``name.py`` and ``name.ipynb``, and what else is told.

    What needs the library alone runs where there is no `analysis`: in another folder, isolated from the
    environment, beside the files of the bundled models. The rest runs in the root.
    """
    (needs,) = {code.needs for code in codes.values()}
    files = []
    for name, code in codes.items():
        for suffix, text in ((".py", code.script()), (".ipynb", code.notebook())):
            (folder / f"{name}{suffix}").write_text(text, encoding="utf-8")
            files.append(str(folder / f"{name}{suffix}"))
    alone = needs == "TransformerLens"
    if alone:
        for name in FOLDERS.values():
            (folder / name).mkdir(parents=True)
            for path in (ROOT / name).iterdir():
                if path.suffix in (".json", ".safetensors"):
                    (folder / name / path.name).symlink_to(path)
    runner, told = folder / "run.py", folder / "told.json"
    runner.write_text(_RUNNER)
    # -I leaves out the folder of the script, the working directory and every variable of the environment.
    start = ["-I", str(runner)] if alone else ["-c", _RUNNER]
    run = subprocess.run(
        [sys.executable, *start, str(told), *files],
        capture_output=True,
        text=True,
        cwd=folder if alone else ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads(told.read_text())
    tables = {
        file: {name: pd.DataFrame(table) for name, table in held.items()}
        for file, held in found.pop("tables").items()
    }
    return tables, found


def check(
    found: pd.DataFrame,
    page: pd.DataFrame,
    keys: list[str],
    numbers: list[str],
    within: float,
    share: float = 0.0,
) -> None:
    """Every number of the page stands in what was found; what the page leaves out writes nothing."""
    both = page.merge(found, on=keys, how="outer", suffixes=("_page", ""), indicator=True)
    assert len(both) == len(found) and not (both["_merge"] == "left_only").any()
    extra = both[both["_merge"] == "right_only"]
    assert len(page)
    for number in numbers:
        np.testing.assert_allclose(extra[number], 0.0, atol=max(within, 1e-4))
        shown = both[both["_merge"] == "both"]
        np.testing.assert_allclose(shown[number], shown[f"{number}_page"], rtol=share, atol=within)


def resolution(result: Any) -> float:
    """What the page calls rounding; of what has no effects, that of a float32."""
    return result.provenance.resolution or 1e-6
