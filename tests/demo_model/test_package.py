"""What is in the folder, and what importing it costs."""

import json
import subprocess
import sys

import pytest

from analysis.demo_model import DIRECTORY

HEAVY_CHECK = """
import sys
{statement}
heavy = {{"torch", "transformers", "tokenizers"}} & set(sys.modules)
sys.exit(f"loaded {{sorted(heavy)}}" if heavy else 0)
"""
LIGHT = ("", ".corpus", ".examples", ".held_out", ".split")


def import_costs(statement: str) -> subprocess.CompletedProcess[str]:
    """Run `statement` in a fresh interpreter that fails if something heavy was loaded."""
    command = [sys.executable, "-c", HEAVY_CHECK.format(statement=statement)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=DIRECTORY.parents[1])


@pytest.mark.parametrize("module", LIGHT)
def test_import_is_light(module: str) -> None:
    """The examples can be listed before torch is loaded."""
    done = import_costs(f"import analysis.demo_model{module}")
    assert done.returncode == 0, done.stderr


def test_light_import_check_can_fail() -> None:
    """The check above sees a heavy import where there is one."""
    done = import_costs("import tokenizers")
    assert done.returncode == 1
    assert "tokenizers" in done.stderr


def test_folder_is_small_and_holds_no_pickle() -> None:
    """At most 20 MB of weights, and nothing that runs code when it is opened."""
    weights = list(DIRECTORY.glob("*.safetensors"))
    assert [path.name for path in weights] == ["model.safetensors"]
    assert sum(path.stat().st_size for path in weights) <= 20_000_000
    unsafe = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}
    assert not [path.name for path in DIRECTORY.iterdir() if path.suffix in unsafe]


def test_architecture() -> None:
    """GPT-2, four layers of eight heads."""
    config = json.loads((DIRECTORY / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["GPT2LMHeadModel"]
    assert (config["n_layer"], config["n_head"]) == (4, 8)
