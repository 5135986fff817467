"""``python -m tests.benchmarks.page_under_a_sweep``: how a page answers while a long sweep runs.

One visitor watches the sweep of a random model of GPT-2 small's shape in a browser; another goes to
and fro between two pages whose results are stored. Prints the second visitor's seconds until the
chart stands, before and during the sweep, how often the first one's bar moves, the paths measured per
second, and the seconds until a cancel is shown. Server and browser share this machine's cores.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page

from pages.shared.keys import Key
from tests.benchmarks.sweep import write_random_gpt2
from tests.browser.app import PATIENCE, chromium, served, settle

PAGES = ("Direct logit attribution", "Result")
LETTERS = "a b c d e f g h i j a b c d e f g h i j"

SHOWN = """title => document.querySelector('h1')?.innerText.trim() === title
    && document.querySelectorAll('[data-testid="stVegaLiteChart"] svg path').length > 8
    && document.querySelector('[data-testid="stApp"]').dataset.testScriptState === 'notRunning'"""


def seconds_to_charts(page: Page, rounds: int) -> list[float]:
    """Seconds from a click in the navigation to the other page's chart, to and fro."""
    seconds = []
    for title in PAGES * rounds:
        start = time.perf_counter()
        page.locator(".st-key-page_links").get_by_text(title).click()
        page.wait_for_function(SHOWN, arg=title, timeout=1000 * PATIENCE, polling=20)
        seconds.append(time.perf_counter() - start)
        time.sleep(1.0)
    return seconds


def start_sweep(page: Page, address: str, model: str) -> None:
    """Open the page of all sources on `model` and wait until the sweep has begun."""
    query = {"model": model, "clean": f" {LETTERS}", "corrupted": f" {LETTERS.replace('b', 'x', 1)}"}
    page.goto(f"{address}/all_sources?{urlencode(query | {'answer': ' c', 'foil': ' d'})}")
    page.get_by_text("paths measured").wait_for(timeout=1000 * PATIENCE)
    page.wait_for_function("!document.body.innerText.includes('\\n0 of ')", timeout=1000 * PATIENCE)


def paths_measured(page: Page) -> int:
    """The count beside the bar."""
    found = re.match(r"[\d,]+", page.get_by_text("paths measured").inner_text())
    assert found is not None
    return int(found.group().replace(",", ""))


def changes_of_the_bar(page: Page, seconds: float) -> float:
    """How often per second the text beside the bar changes."""
    seen, deadline = [""], time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = page.get_by_text("paths measured").inner_text()
        if text != seen[-1]:
            seen.append(text)
        time.sleep(0.05)
    return (len(seen) - 1) / seconds


def seconds_to_cancel(page: Page) -> float:
    """From the click on Cancel to the sentence that says so."""
    start = time.perf_counter()
    page.locator(f".st-key-{Key.CANCEL}_sweep button").click()
    page.get_by_text("The sweep was stopped").wait_for()
    return time.perf_counter() - start


def told(what: str, seconds: list[float]) -> None:
    """Print the median and the largest of `seconds`."""
    print(f"{what:44} median {statistics.median(seconds):.2f} s, largest {max(seconds):.2f} s")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory, chromium() as browser:
        model = Path(directory) / "model"
        write_random_gpt2("12x12x768", model)
        with served(Path(directory)) as address:
            visitor, watcher = (browser.new_context().new_page() for _ in range(2))
            visitor.goto(address)
            settle(visitor)
            seconds_to_charts(visitor, rounds=1)
            told("a warm chart of another page, no sweep", seconds_to_charts(visitor, rounds=5))
            start_sweep(watcher, address, str(model))
            before, start = paths_measured(watcher), time.perf_counter()
            print(f"{'the bar changes':44} {changes_of_the_bar(watcher, 5.0):.1f} times a second")
            told("a warm chart of another page, under a sweep", seconds_to_charts(visitor, rounds=5))
            rate = (paths_measured(watcher) - before) / (time.perf_counter() - start)
            print(f"{'paths measured meanwhile':44} {rate:.0f} a second")
            print(f"{'a cancel is shown after':44} {seconds_to_cancel(watcher):.2f} s")


if __name__ == "__main__":
    main()
