"""``python -m tests.benchmarks.memory [FOLDER]``: what a server holds in memory, by the pages it has drawn.

For the bundled model, then for the model in FOLDER, a fresh server with an empty store is led through
all pages by a browser. Prints its megabytes (10^6 bytes) after each page: of its own, and resident, which has
the pages of files besides (the libraries' code, above all) that the kernel drops where memory is short; and
what the imports alone take in a process of their own. Where a sweep does not start by itself it is begun,
watched for a while and stopped. A server is measured once it rests; "largest" is the kernel's high-water mark
since the line before, so the first one is that of loading. Ends with status 1 where a server's own memory is
above its bar, or with ``--enforce`` (Linux, root) where the kernel, which then holds the bundled model's
server to its bar, had to end it. Another model needs more while it is loaded than it holds afterwards.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page

from analysis.models import DEMO
from pages.shared.keys import Key
from tests.benchmarks.peak import kibibytes
from tests.browser.app import PAGES, PATIENCE, chromium, settle
from tests.soak.group import Group, limited
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
held = psutil.Process().memory_info()
print(held.rss - getattr(held, "shared", 0), held.rss)
"""

SEEN = "When Mary and John went to the store, {} gave a drink to"
PROMPTS = {"clean": SEEN.format("John"), "corrupted": SEEN.format("Mary"), "answer": " Mary", "foil": " John"}


def tell_imports() -> None:
    """Print what a process holds that has imported everything and done nothing."""
    command = [sys.executable, "-c", IMPORTS]
    held = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout
    tell("imports alone", *map(int, held.split()))


def tell(what: str, own: float, resident: float) -> None:
    """Print one line of the table."""
    print(f"  {what:32} {own / 1e6:7.0f} MB of its own, {resident / 1e6:7.0f} MB resident", flush=True)


def tell_of(server: Server, what: str) -> None:
    """Print what `server` holds now."""
    tell(what, server.own_bytes(), server.resident_bytes())


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
    """Lead `page` through all pages and print what `server` holds after each; its own MB at the end."""
    query = "" if model == DEMO else f"?{urlencode({'model': model} | PROMPTS)}"
    for path, title in PAGES.items():
        page.goto(f"http://127.0.0.1:{server.port}/{path}{query}")
        if path == "all_sources":
            settle_on_all_sources(page, seconds)
        else:
            page.wait_for_selector("[data-testid='stExpander']", timeout=1000 * LONG)
            settle(page)
        server.idle(LONG)
        tell_of(server, f"after {title}")
        print(f"  largest until then {largest_so_far(server) / 1e6:40.0f} MB resident", flush=True)
    return server.own_bytes() / 1e6


def largest_so_far(server: Server) -> float:
    """The most bytes that `server` has held since this was last asked (Linux); NaN elsewhere."""
    status, clear = (Path(f"/proc/{server.process.pid}/{name}") for name in ("status", "clear_refs"))
    if not clear.exists():
        return float("nan")
    most = 1024 * kibibytes(status, "VmHWM")
    clear.write_text("5")
    return most


def measure(model: str, seconds: float, group: Group | None) -> float:
    """Start a server, visit all of its pages with `model`, and print what it holds; its own MB at the end."""
    with (
        tempfile.TemporaryDirectory() as directory,
        chromium() as browser,
        serve(Path(directory), {}, group) as server,
    ):
        tell_of(server, "started")
        return visit_all(browser.new_page(), server, model, seconds)


def within_bar(name: str, model: str, seconds: float, *, enforced: bool) -> bool:
    """Measure `model` and judge by the bar of `name`."""
    print(f"{name}, at most {BARS[name]} MB{', by the kernel' if enforced else ''}")
    with limited(BARS[name]) if enforced else nullcontext() as group:
        held = measure(model, seconds, group)
        ended = group.ended() if group else 0
    print(f"{name}: {held:.0f} MB of its own after all pages{', ended by the kernel' if ended else ''}")
    return held <= BARS[name] and not ended


def main() -> int:
    """Read the command line, measure and judge."""
    parser = argparse.ArgumentParser(description="What a server holds in memory.")
    parser.add_argument("folder", nargs="?", help="a local model folder (the bar is that of SmolLM2-135M)")
    parser.add_argument("--sweep-seconds", type=float, default=60.0, help="(default: %(default)s)")
    parser.add_argument(
        "--enforce", action="store_true", help="have the kernel hold the bundled model's server to its bar"
    )
    options = parser.parse_args()
    tell_imports()
    models = {DEMO: DEMO} | ({"SmolLM2-135M": options.folder} if options.folder else {})
    kept = [
        within_bar(name, model, options.sweep_seconds, enforced=options.enforce and model == DEMO)
        for name, model in models.items()
    ]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
