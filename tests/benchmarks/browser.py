"""``python -m tests.benchmarks.browser``: how fast the pages are to the eye, and how still they stand.

Opens every page of the bundled model's first example, changes controls and goes from page to page, in
turn with a bare Streamlit page of a title and a chart; every result is in the store, and everything has
been shown once. Prints the median (p50) and the 95th percentile (p95) beside the bar that is set:

- first paint: from the request of a fresh browser until title and first picture stand, less the bare page's;
- control: from the press on a control until the page's script has ended and its last picture is drawn;
- page switch: the same from the press on a page's link;
- layout shift: the sum over what moved by itself while a page was opened, and after a press.

Server and browser share this machine's cores, and the bars are for a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page

from pages.shared.keys import Key
from tests.benchmarks.stored_result import BARE
from tests.browser.app import PAGES, PATIENCE, chromium, served

#: Controls and the titles between which they are moved, by page.
CONTROLS = {
    "direct_logit_attribution": ((Key.RUN, "Corrupted", "Clean"), (Key.UNIT, "Component", "Map")),
    "path_patching": ((Key.COMPONENT, "Key", "Value"), (Key.SCALE, "Recovery", "Effect")),
    "all_sources": ((Key.COMPONENT, "Key", "Value"), (Key.SCALE, "Recovery", "Effect")),
    "circuit": ((Key.LAYOUT, "Tokens", "Layers"),),
    "prompt_set": ((Key.LAYER_NORM, "Exact", "Frozen"),),
}
#: Milliseconds without a change after which a page stands still.
STILL = 800

#: Notes what happens from the page's first moment on, or from the last press.
WATCH = """
(() => {
  const main = "[data-testid='stMain']", seen = window.seen = {shift: 0, changed: 0, painted: 0, pressed: 0};
  const seenIn = ({type, target}) => {
    const at = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
    return at?.closest(main) && !(at.closest("canvas") && (at.tagName !== "CANVAS" || type === "childList"));
  };
  new PerformanceObserver(list => list.getEntries().forEach(entry => {
    if (!entry.hadRecentInput) seen.shift += entry.value;
  })).observe({type: 'layout-shift', buffered: true});
  const picture = "[data-testid='stVegaLiteChart'] svg path, [data-testid='stEChartsChart'] svg path,"
    + " [data-testid='stTable'] td";
  new MutationObserver(changes => {
    seen.state = document.querySelector("[data-testid='stApp']")?.dataset.testScriptState;
    // What stands within a canvas is for screen readers alone: a grid writes it a quarter of a second later.
    if (changes.some(seenIn)) seen.changed = performance.now();
    const shown = document.querySelector(`${main} h1`) && document.querySelector(main).querySelector(picture);
    if (!seen.painted && shown) seen.painted = performance.now();
  }).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  addEventListener('pointerdown', () => Object.assign(seen, {pressed: performance.now(), shift: 0}), true);
})()
"""
STANDS = """still => window.seen.painted && window.seen.state === 'notRunning'
    && performance.now() - Math.max(window.seen.changed, window.seen.pressed) > still"""


@dataclass(frozen=True)
class Bar:
    """What is measured, and what it should stay below."""

    name: str
    limit: float
    unit: str


FIRST_PAINT = Bar("first paint, later than bare", 0.7, "s")
CONTROL = Bar("control", 0.4, "s")
SWITCH = Bar("page switch", 0.5, "s")
SHIFT_AT_FIRST = Bar("layout shift, opened", 0.1, "")
SHIFT_LATER = Bar("layout shift, after a press", 0.1, "")

Measured = dict[tuple[Bar, str], list[float]]


def stand_still(page: Page) -> dict[str, float]:
    """What was noted until nothing changes any more; times in milliseconds."""
    page.wait_for_function(STANDS, arg=STILL, timeout=1000 * PATIENCE, polling=50)
    seen: dict[str, float] = page.evaluate("window.seen")
    return seen


def opened(browser: Browser, address: str) -> tuple[Page, dict[str, float]]:
    """The page at `address` in a fresh browser, and what was noted of it."""
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.add_init_script(WATCH)
    page.goto(address)
    return page, stand_still(page)


def pressed(page: Page, key: str, title: str) -> tuple[float, float]:
    """Seconds until what `title` in the place `key` leads to is drawn, and what moved after that."""
    page.locator(f".st-key-{key}").get_by_text(title, exact=True).click()
    seen = stand_still(page)
    return (max(seen["changed"], seen["pressed"]) - seen["pressed"]) / 1000, seen["shift"]


def measure_openings(browser: Browser, bare: str, app: str, measured: Measured) -> None:
    """Open the bare page and each page of the app once."""
    page, seen = opened(browser, bare)
    page.context.close()
    before = seen["painted"]
    measured[Bar("first paint, bare page", float("inf"), "s"), "bare"].append(before / 1000)
    for path, title in PAGES.items():
        page, seen = opened(browser, f"{app}/{path}")
        page.context.close()
        measured[FIRST_PAINT, title].append((seen["painted"] - before) / 1000)
        measured[SHIFT_AT_FIRST, title].append(seen["shift"])


def measure_presses(browser: Browser, app: str, measured: Measured) -> None:
    """Go through all pages, and move each control there and back."""
    page, _ = opened(browser, app)
    for path, title in [*list(PAGES.items())[1:], ("", PAGES[""])]:
        seconds, shift = pressed(page, "page_links", title)
        measured[SWITCH, title].append(seconds)
        measured[SHIFT_LATER, f"to {title}"].append(shift)
        for key, there, back in CONTROLS.get(path, ()):
            for value in (there, back):
                seconds, shift = pressed(page, key, value)
                measured[CONTROL, f"{title}, {key}"].append(seconds)
                measured[SHIFT_LATER, f"{title}, {key}"].append(shift)
    page.context.close()


def told(measured: Measured) -> str:
    """The table: a line for each thing that was measured, and whether it keeps below its bar."""
    lines = [f"{'':30} {'':36} {'p50':>7} {'p95':>7} {'bar':>6}"]
    for (bar, what), values in measured.items():
        p50, p95 = (float(np.quantile(values, share)) for share in (0.5, 0.95))
        verdict = "below" if p95 < bar.limit else "p50 below" if p50 < bar.limit else "OVER"
        lines.append(f"{bar.name:30} {what:36} {p50:7.2f} {p95:7.2f} {bar.limit:6.1f}  {verdict}")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, fill a store, measure and print."""
    parser = argparse.ArgumentParser(description="Seconds to the eye and layout shift, page by page.")
    parser.add_argument(
        "--rounds", type=int, default=10, help="how often each is done (default: %(default)s)"
    )
    rounds = parser.parse_args().rounds
    measured: Measured = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory, chromium() as browser:
        script = Path(directory) / "bare.py"
        script.write_text(f"{BARE}\nst.title('Bare')\n")
        with served(Path(directory), script) as bare, served(Path(directory)) as app:
            steps: tuple[Callable[[Measured], None], ...] = (
                lambda into: measure_openings(browser, bare, app, into),
                lambda into: measure_presses(browser, app, into),
            )
            for step in steps:
                step(defaultdict(list))  # computes and stores all that is shown
                for _ in range(rounds):
                    step(measured)
    print(told(measured))


if __name__ == "__main__":
    main()
