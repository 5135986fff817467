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
from streamlit.commands import execution_control
from streamlit.runtime import runtime
before = [waits.MESSAGE_FLUSH_INTERVAL_SECS for waits in (runtime, execution_control)]
config.set_option("server.headless", True)
door.import_early = lambda: print("imports")
async def begin():
    async with door.opened(None):
        print(round(sys.getswitchinterval(), 6))
        print(before, runtime.MESSAGE_FLUSH_INTERVAL_SECS, execution_control.MESSAGE_FLUSH_INTERVAL_SECS)
asyncio.run(begin())
"""


def test_a_thread_that_computes_gives_way_to_the_one_that_sends_and_what_is_sent_is_gathered():
    run = subprocess.run([sys.executable, "-c", BEGINS], cwd=ROOT, capture_output=True, text=True, check=True)
    # Streamlit's own 0.005 stands at both places: where a release keeps it elsewhere, the door must follow.
    assert run.stdout.splitlines() == ["imports", "0.0001", "[0.005, 0.005] 0.05 0.05"]


def test_garbage_is_not_collected_after_every_run_of_a_page():
    configured = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert configured["runner"] == {"postScriptGC": False}
