"""A process that serves strangers, with a store of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.models.conftest import hub, hub_cache
from tests.pages import looking

__all__ = ["hub", "hub_cache"]

NAMED = "pathscope/tiny"
#: The ready example of each bundled model that the tests' gallery holds.
FIRST_EXAMPLE = 0

_WARM_ONE = """
import sys
from analysis import warm
of_model = warm.ready_examples
warm.ready_examples = lambda model: of_model(model)[{0}:{0} + 1]
sys.exit(warm.main(["--into", sys.argv[1]]))
"""


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch, own_store: None) -> None:
    """Strangers are served the bundled model and `NAMED`."""
    monkeypatch.setenv("PATHSCOPE_HOSTED", "1")
    monkeypatch.setenv("PATHSCOPE_HOSTED_MODELS", NAMED)


@pytest.fixture
def named_model(folder: Path, hub_cache: Path) -> Path:
    """`NAMED` in the Hugging Face cache, as if it had been fetched; its folder there."""
    repository = hub_cache / f"models--{NAMED.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    return Path(shutil.copytree(folder, repository / "snapshots" / ("0" * 40)))


@pytest.fixture
def visit() -> Callable[..., AppTest]:
    """Opens a page; see `tests.pages.looking.visit`."""
    return looking.visit


@pytest.fixture(scope="session")
def gallery_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``python -m analysis.warm --into`` makes of one example; not to be changed."""
    place = tmp_path_factory.mktemp("gallery")
    run = subprocess.run(
        [sys.executable, "-c", _WARM_ONE.format(FIRST_EXAMPLE), str(place)],
        cwd=looking.ROOT,
        env=os.environ | {"PATHSCOPE_STORE_DIR": str(tmp_path_factory.mktemp("warm"))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return place
