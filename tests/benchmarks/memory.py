"""``python -m tests.benchmarks.memory [FOLDER]``: what a server holds in memory, by the pages it has drawn.

For the bundled model, then for the model in FOLDER, a fresh server with an empty store is led through
all pages by a browser. Prints its resident megabytes (10^6 bytes) after each page, and what the imports alone
take in a process of their own. Where a sweep does not start by itself it is begun, watched for a while and
stopped. A server is measured once it rests; "largest" is the kernel's high-water mark since the line before,
so the first one is that of loading. Ends with status 1 where a server stands above its bar.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page

from analysis.models import DEMO
from pages.shared.keys import Key
from tests.benchmarks.peak import kibibytes
from tests.browser.app import PAGES, PATIENCE, chromium, settle
from tests.soak.server import ROOT, Server, serve

#: Megabytes that a server may hold after all pages: with the bundled model, and with SmolLM2-135M.
BARS = {DEMO: 560, "SmolLM2-135M": 1500}

#: Seconds for the sanity checks of a model of a hundred million weights, whose oracle is slow.
LONG = 900

CHART = "[data-testid='stVegaLiteChart']"

#: What a server has imported by the time its first chart is drawn.
IMPORTS = """
import streamlit.web.bootstrap, altair, pandas, psutil
import analysis.charts, analysis.models.loading, analysis.attribution, analysis.patching, analysis.sanity
print(psutil.Process().memory_info().rss)
"""

SEEN = "When Mary and John went to the store, {} gave a drink to"
PROMPTS = {"clean": SEEN.format("John"), "corrupted": SEEN.format("Mary"), "answer": " Mary", "foil": " John"}


def megabytes_of_imports() -> float:
    """Resident memory of a process that has imported everything and done nothing."""
    command = [sys.executable, "-c", IMPORTS]
    return int(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout) / 1e6


def told(what: str, bytes_held: float) -> None:
    """Print one line of the table."""
    print(f"  {what:32} {bytes_held / 1e6:7.0f} MB", flush=True)


def settle_on_all_sources(page: Page, seconds: float) -> None:
    """Wait for the whole sweep; one that does not start by itself is begun, and stopped after `seconds`."""
    start = page.locator(f".st-key-{Key.START}_sweep button")
    page.wait_for_selector(f"{CHART}, .st-key-{Key.START}_sweep button", timeout=1000 * PATIENCE)
    if not start.count():
        settle(page)
        return
    start.click()
    page.get_by_text("paths measured").wait_for(timeout=1000 * PATIENCE)
    page.wait_for_function("!document.body.innerText.includes('\\n0 of ')", timeout=1000 * PATIENCE)
    time.sleep(seconds)
    page.locator(f".st-key-{Key.CANCEL}_sweep button").click()
    page.get_by_text("The sweep was stopped").wait_for(timeout=1000 * PATIENCE)


def visit_all(page: Page, server: Server, model: str, seconds: float) -> float:
    """Lead `page` through all pages; prints what `server` holds after each, and returns the last (in MB)."""
    query = "" if model == DEMO else f"?{urlencode({'model': model} | PROMPTS)}"
    for path, title in PAGES.items():
        page.goto(f"http://127.0.0.1:{server.port}/{path}{query}")
        if path == "all_sources":
            settle_on_all_sources(page, seconds)
        else:
            page.wait_for_selector("[data-testid='stExpander']", timeout=1000 * LONG)
            settle(page)
        server.idle(LONG)
        told(f"after {title}", server.resident_bytes())
        told("largest until then", largest_so_far(server))
    return server.resident_bytes() / 1e6


def largest_so_far(server: Server) -> float:
    """The most bytes that `server` has held since this was last asked (Linux); NaN elsewhere."""
    status, clear = (Path(f"/proc/{server.process.pid}/{name}") for name in ("status", "clear_refs"))
    if not clear.exists():
        return float("nan")
    most = 1024 * kibibytes(status, "VmHWM")
    clear.write_text("5")
    return most


def measure(model: str, seconds: float) -> float:
    """Start a server, visit all of its pages with `model`, and print what it holds; the MB at the end."""
    with (
        tempfile.TemporaryDirectory() as directory,
        chromium() as browser,
        serve(Path(directory), {}) as server,
    ):
        print(model)
        told("started", server.resident_bytes())
        return visit_all(browser.new_page(), server, model, seconds)


def main() -> int:
    """Read the command line, measure and judge."""
    parser = argparse.ArgumentParser(description="What a server holds in memory.")
    parser.add_argument("folder", nargs="?", help="a local model folder (the bar is that of SmolLM2-135M)")
    parser.add_argument("--sweep-seconds", type=float, default=60.0, help="(default: %(default)s)")
    options = parser.parse_args()
    print(f"imports alone {megabytes_of_imports():.0f} MB")
    held = {DEMO: measure(DEMO, options.sweep_seconds)}
    if options.folder:
        held["SmolLM2-135M"] = measure(options.folder, options.sweep_seconds)
    for name, megabytes in held.items():
        print(f"{name}: {megabytes:.0f} MB after all pages, at most {BARS[name]}")
    return int(any(held[name] > BARS[name] for name in held))


if __name__ == "__main__":
    sys.exit(main())
