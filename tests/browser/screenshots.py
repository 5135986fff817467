"""Pictures of every page: ``python -m tests.browser.screenshots DIRECTORY``.

One file for each page, theme and width, and ``pathscope.png``, the picture in README.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser

from analysis.demo_model.examples import EXAMPLES, Example
from pages.shared.keys import Key
from tests.browser.app import PAGES, chromium, served, settle

#: Room for axes and fonts to settle after the last element has come in.
_REST_MS = 1500
#: The app scrolls inside itself, so what is below the window is in no picture.
_HEIGHT = 1180
SHOWN = next(example for example in EXAMPLES if "ocean" in example.title)


def link(example: Example) -> str:
    """All paths of `example` into the keys, where the bundled model's induction heads are told."""
    fields = {key: getattr(example, key) for key in (Key.CLEAN, Key.CORRUPTED, Key.ANSWER, Key.FOIL)}
    return f"all_sources?{urlencode({**fields, Key.COMPONENT: 'Key'})}"


def take(browser: Browser, address: str, file: Path, *, path: str, theme: str, width: int) -> None:
    """Save the whole page at `path` as `file`."""
    context = browser.new_context(viewport={"width": width, "height": _HEIGHT}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{address}/{path}")
    settle(page)
    page.wait_for_timeout(_REST_MS)
    page.screenshot(path=file, full_page=True)
    context.close()


def main(directory: Path) -> None:
    """Take all pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store, served(Path(store)) as address, chromium() as browser:
        take(browser, address, directory / "pathscope.png", path=link(SHOWN), theme="light", width=1600)
        for path in PAGES:
            for theme in ("light", "dark"):
                for width in (1280, 1920):
                    file = directory / f"{path or 'overview'}_{theme}_{width}.png"
                    take(browser, address, file, path=path, theme=theme, width=width)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the directory to write to: python -m tests.browser.screenshots DIRECTORY")
    main(Path(sys.argv[1]))
