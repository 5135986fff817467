"""What is under the pointer is marked wherever else the page shows it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from pages.shared.keys import Key
from tests.browser.app import settle

pytestmark = pytest.mark.browser
Open = Callable[..., Page]

STROKE = "marks => marks.map(mark => [mark.getAttribute('aria-label'), getComputedStyle(mark).strokeWidth])"


def cells(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} path[aria-label*='value: ']")


def marked(marks: Locator) -> set[str]:
    return {said for said, width in marks.evaluate_all(STROKE) if width == "2px"}


def test_the_ends_of_a_path_are_marked_on_every_map_until_the_pointer_leaves_it(open_page: Open):
    page = open_page("path_patching?source_layer=0&source_head=7")
    settle(page)
    told = cells(page, f"{Key.HEAD_PATHS}_source")
    expect(told.first).to_be_visible()
    assert not marked(told)
    head = page.locator(f".st-key-{Key.SOURCE_MAP}_L0H7 path[aria-label*='source: L2H5;']")
    strongest = re.search(r"destination: (L\d+H\d+);", head.get_attribute("aria-label") or "")
    assert strongest is not None
    head.hover()
    ends = [f"destination: {end};" for end in ("L2H5", strongest[1])]
    expected = {said for said, _ in told.evaluate_all(STROKE) if any(end in said for end in ends)}
    assert len(expected) > 1
    assert marked(told) == expected
    page.get_by_role("heading", level=1).hover()
    assert not marked(told)


def test_a_token_is_marked_in_the_prompt_and_in_what_is_attended_to(open_page: Open):
    page = open_page("direct_logit_attribution?selected=L2H5")
    settle(page)
    near = page.locator(".st-key-node_from_near")
    expect(near.locator("path[aria-label*='is read: 4: ']").first).to_be_visible()
    chip = page.get_by_test_id("stSidebar").get_by_title("Position 4", exact=True)
    chip.hover()
    seen = marked(near.locator("path[aria-label*='is read: ']"))
    assert seen
    assert all("reads: 4: " in said or "is read: 4: " in said for said in seen)
    assert chip.evaluate("chip => getComputedStyle(chip).outlineWidth") == "2px"
