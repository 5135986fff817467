"""One server for all browser tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.app import complaints, served


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the app runs, on a store of its own."""
    with served(tmp_path_factory.mktemp("store")) as where:
        yield where


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens a path in a fresh browser context; at the end nothing may have gone wrong on any of them."""
    opened: list[tuple[Page, list[str]]] = []

    def open_page(path: str = "", *, theme: str = "light", width: int = 1280) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=theme)
        page = context.new_page()
        opened.append((page, complaints(page)))
        page.goto(f"{address}/{path}")
        return page

    yield open_page
    found = [complaint for _, complaints_of_page in opened for complaint in complaints_of_page]
    for page, _ in opened:
        page.context.close()
    assert not found
