"""Pictures of every page: ``python -m tests.browser.screenshots DIRECTORY [MODEL]``.

One file for each page, theme and width; with the folder of a real model, named as it lies in the working
directory, also ``pathscope.png``, the picture in README: the smallest circuit found, by tokens.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser

from pages.shared.keys import Key
from tests.browser.app import PAGES, chromium, served, settle

#: Room for axes and fonts to settle after the last element has come in.
_REST_MS = 1500
#: The app scrolls inside itself, so what is below the window is in no picture.
_HEIGHT = 1180
#: A search on a real model, on a busy machine.
_SEARCH_MS = 300_000


def take(browser: Browser, address: str, file: Path, *, path: str, theme: str, width: int) -> None:
    """Save the whole page at `path` as `file`."""
    context = browser.new_context(viewport={"width": width, "height": _HEIGHT}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{address}/{path}")
    settle(page)
    page.wait_for_timeout(_REST_MS)
    page.screenshot(path=file, full_page=True)
    context.close()


def take_circuit(browser: Browser, address: str, file: Path, model: str) -> None:
    """Find the circuit of the first ready example in `model`, and save the page that shows it."""
    page = browser.new_context(viewport={"width": 1500, "height": 1060}).new_page()
    page.goto(f"{address}/circuit?{urlencode({Key.MODEL: model, Key.LAYOUT: 'tokens'})}")
    for button in ("Find the smallest circuit", "Draw it as my circuit"):
        page.get_by_role("button", name=button).click(timeout=_SEARCH_MS)
    settle(page)
    page.wait_for_timeout(_REST_MS)
    page.screenshot(path=file)


def main(directory: Path, model: str | None) -> None:
    """Take all pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store, served(Path(store)) as address, chromium() as browser:
        if model is not None:
            take_circuit(browser, address, directory / "pathscope.png", model)
        for path in PAGES:
            for theme in ("light", "dark"):
                for width in (390, 1280, 1920):
                    file = directory / f"{path or 'overview'}_{theme}_{width}.png"
                    take(browser, address, file, path=path, theme=theme, width=width)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Pictures of every page, in every theme and width.")
    parser.add_argument("directory", type=Path, help="where to write them")
    parser.add_argument("model", nargs="?", help="the folder of a real model")
    main(**vars(parser.parse_args()))
