"""On a phone a page shows what it found, a picture of it, and only then its controls."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from pages.shared.keys import Key
from tests.browser.app import settle

pytestmark = pytest.mark.browser

#: Where a page's first picture is, and what comes after the controls.
PICTURES = {
    "direct_logit_attribution": (f".st-key-{Key.NODE_MAP}", f".st-key-{Key.NODE_LIST}"),
    "all_sources": (f".st-key-{Key.STRONGEST_TABLE}", f".st-key-{Key.EDGE_CHART}"),
    "circuit": (f".st-key-{Key.GRAPH}", f".st-key-{Key.DRAWN_LIST}"),
    "prompt_set": ("[data-testid='stVegaLiteChart']", "[data-testid='stVegaLiteChart'] >> nth=1"),
    "compare": ("[data-testid='stVegaLiteChart']", "[data-testid='stVegaLiteChart'] >> nth=1"),
}


def top_and_bottom(page: Page, selector: str) -> tuple[float, float]:
    box = page.get_by_test_id("stMain").locator(selector).first.bounding_box()
    assert box is not None, selector
    return box["y"], box["y"] + box["height"]


@pytest.mark.parametrize("path", PICTURES)
def test_the_picture_comes_before_the_controls_and_they_before_the_rest(
    open_page: Callable[..., Page], path: str
):
    picture, later = PICTURES[path]
    page = open_page(path, width=390)
    settle(page)
    for selector in (picture, later):
        page.get_by_test_id("stMain").locator(selector).first.wait_for()
    page.wait_for_timeout(500)
    said = top_and_bottom(page, f"[data-testid='stText']:not(.st-key-{Key.CONTROLS} *)")
    first, controls, rest = (top_and_bottom(page, one) for one in (picture, f".st-key-{Key.CONTROLS}", later))
    assert said[1] <= first[0] and first[1] <= controls[0] and controls[1] <= rest[0]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.set_viewport_size({"width": 1280, "height": 1000})
    page.wait_for_timeout(500)
    assert top_and_bottom(page, f".st-key-{Key.CONTROLS}")[1] <= top_and_bottom(page, picture)[0]
