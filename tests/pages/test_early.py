"""What is imported before the first visitor comes."""

from __future__ import annotations

import subprocess
import sys
import tomllib

from tests.pages.looking import ROOT

BEGUN = """
import gc, sys
from pages.shared.early import import_early
import_early()
frozen, late = gc.get_freeze_count(), {"torch", "transformer_lens", "transformers"} & sys.modules.keys()
early = {"altair", "pandas", "pages.shared.circuit_graph", "pages.shared.experiment"} - sys.modules.keys()
print(frozen > 100_000, len(gc.get_objects()) < 0.1 * frozen, *late, *early)
"""


def test_the_pages_are_imported_without_torch_and_passed_over_by_garbage_collection():
    run = subprocess.run([sys.executable, "-c", BEGUN], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "True"]


BEGINS = """
import asyncio, sys
from streamlit import config
from pages.shared import door
config.set_option("server.headless", True)
door.import_early = lambda: print("imports")
async def begin():
    async with door.opened(None):
        print(round(sys.getswitchinterval(), 6))
asyncio.run(begin())
"""


def test_a_thread_that_computes_gives_way_to_the_one_that_sends():
    run = subprocess.run([sys.executable, "-c", BEGINS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["imports", "0.0001"]


def test_garbage_is_not_collected_after_every_run_of_a_page():
    configured = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert configured["runner"] == {"postScriptGC": False}
