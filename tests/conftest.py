"""What every test stands on: a store of its own, no network, and small models kept for the session."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Read when huggingface_hub and analysis.settings are first imported, hence before any test module.
_SESSION = tempfile.mkdtemp(prefix="pathscope-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = str(Path(_SESSION) / "huggingface")
os.environ["PATHSCOPE_STORE_DIR"] = str(Path(_SESSION) / "store")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Run every test with one thread, whatever the one before has set.

    The test models are far too small to share between threads, and the last bits of a product
    depend on how many there are.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_main() -> Iterator[None]:
    """Leave ``__main__`` as it was: a page under test takes its place, and every process that a later
    test starts would run that page first."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium; without one the tests fail in CI and are skipped elsewhere.

    Only one can be open in a process, and its event loop runs on in the tests' thread until the end.
    """
    from tests.browser.app import chromium

    if shutil.which("chromium") is None and not os.environ.get("CI"):
        pytest.skip("chromium is not installed")
    with chromium() as running:
        yield running


@pytest.fixture
def own_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty store for one test alone."""
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "store"))


@pytest.fixture(scope="session")
def family_directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Family name -> a Hugging Face folder with a random model of it; not to be changed."""
    from tests.families import write_family

    @cache
    def directory(family: str) -> Path:
        return write_family(family, tmp_path_factory.mktemp(family))

    return directory


@pytest.fixture
def folder(family_directory: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a GPT-2 folder that a test may spoil."""
    return Path(shutil.copytree(family_directory("gpt2"), tmp_path / "model"))
