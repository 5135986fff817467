"""``python -m tests.benchmarks.stored_result``: how soon a link to a stored sweep shows its chart.

Stores the sweep of the first ready example, then opens it again and again on a freshly started
server, in turn with a bare Streamlit page whose chart has as many marks. Prints seconds from the
request to the drawn chart for a fresh browser and for one that has seen the page before, and
whether the server of the link has loaded torch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page

from analysis import warm
from analysis.demo_model.examples import EXAMPLES
from analysis.models import DEMO
from analysis.requests import Experiment
from analysis.results import AllSourcesRequest
from tests.browser.app import PATIENCE, chromium, served

MARKS = 24 * 16
"""Paths between the bundled model's heads, each a cell of the heat map."""

BARE = f"""
import altair as alt
import pandas as pd
import streamlit as st

cells = pd.DataFrame([(i // 24, i % 24, i % 7) for i in range({MARKS})], columns=["row", "column", "value"])
chart = alt.Chart(cells).mark_rect().encode(x="column:O", y="row:O", color="value:Q")
st.altair_chart(chart, width="stretch")
"""

DRAWN = """n => document.querySelectorAll('[data-testid="stVegaLiteChart"] svg path').length >= n"""


def seconds_to_chart(page: Page, address: str) -> float:
    """From the request to the last mark of the chart."""
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_function(DRAWN, arg=MARKS, timeout=1000 * PATIENCE, polling=20)
    return time.perf_counter() - start


def both_visits(browser: Browser, address: str) -> tuple[float, float]:
    """Seconds in a fresh browser, and in the same one opening the link again."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    first = context.new_page()
    fresh = seconds_to_chart(first, address)
    first.close()
    again = seconds_to_chart(context.new_page(), address)
    context.close()
    return fresh, again


def has_loaded_torch() -> bool:
    """Whether a Streamlit server among this process's children has torch's library in memory."""
    servers = [child for child in psutil.Process().children() if "streamlit" in child.cmdline()]
    return any("libtorch" in found.path for server in servers for found in server.memory_maps())


@contextmanager
def store_with_the_sweep() -> Iterator[Path]:
    """A directory with the first example's sweep in the store, and no other."""
    first = EXAMPLES[0]
    experiment = Experiment(DEMO, first.clean, first.corrupted, first.answer, first.foil)
    with tempfile.TemporaryDirectory() as directory:
        os.environ["PATHSCOPE_STORE_DIR"] = directory
        warm.warm(AllSourcesRequest(experiment))
        yield Path(directory)


def measure(store: Path, rounds: int) -> None:
    """Print the medians of `rounds` fresh servers of each kind."""
    bare = store / "bare.py"
    bare.write_text(BARE)
    times: dict[str, list[tuple[float, float]]] = {"bare page": [], "stored sweep": []}
    with chromium() as browser:
        for _ in range(rounds):
            with served(store, bare) as address:
                times["bare page"].append(both_visits(browser, address))
            with served(store) as address:
                times["stored sweep"].append(both_visits(browser, f"{address}/all_sources"))
                loaded = has_loaded_torch()
    print(f"{'seconds to the chart':24} {'fresh browser':>14} {'second visit':>14}")
    for what, visits in times.items():
        fresh, again = (statistics.median(column) for column in zip(*visits, strict=True))
        print(f"{what:24} {fresh:14.2f} {again:14.2f}")
    print(f"torch loaded by the server of the link: {'yes' if loaded else 'no'}")


def main() -> None:
    """Read the command line, store the sweep and measure."""
    parser = argparse.ArgumentParser(description="Seconds from a link to the chart of a stored sweep.")
    parser.add_argument("--rounds", type=int, default=5, help="fresh servers (default: %(default)s)")
    with store_with_the_sweep() as store:
        measure(store, parser.parse_args().rounds)


if __name__ == "__main__":
    main()
