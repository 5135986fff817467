"""While a page comes, what stands on it stays: the places that are kept are as high as what takes them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser.app import PAGES, settle

#: Streamlit's own height for whatever it does not know yet: no place is kept for it.
UNKNOWN = 37.5

#: Notes, frame by frame, where the page's content begins and how high the places of missing controls are.
WATCH = """
window.seen = {lefts: [], kept: {}};
(function look() {
  const main = document.querySelector("[data-testid='stMainBlockContainer']");
  const left = main && main.getBoundingClientRect().left;
  if (main && !window.seen.lefts.includes(left)) window.seen.lefts.push(left);
  for (const missing of document.querySelectorAll(".stElementContainer > [data-testid='stSkeleton']")) {
    const key = missing.parentElement.className.match(/st-key-\\S+/);
    if (!key || missing.closest("[class*='_high']")) continue;
    window.seen.kept[key[0]] = missing.getBoundingClientRect().height;
  }
  requestAnimationFrame(look);
})()
"""
CAME = """keys => Object.fromEntries(keys.map(key => [
  key, document.querySelector(`.${CSS.escape(key)}`)?.getBoundingClientRect().height]))"""
PLACES = """() => [...document.querySelectorAll("[class*='_high']")].map(place => {
  const height = place.style.minHeight; place.style.minHeight = 0;
  const [kept, own] = [Number(place.className.match(/_high(\\d+)/)[1]), place.getBoundingClientRect().height];
  place.style.minHeight = height;
  return [place.className.match(/st-key-(\\S+)_high/)[1], kept, own];
})"""


@pytest.mark.browser
@pytest.mark.parametrize("path", PAGES)
def test_what_comes_later_takes_the_place_that_was_kept_for_it(address: str, browser: Browser, path: str):
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.add_init_script(WATCH)
    page.goto(f"{address}/{path}")
    settle(page)
    page.wait_for_timeout(1000)
    seen = page.evaluate("window.seen")
    kept = {key: height for key, height in seen["kept"].items() if height != UNKNOWN}
    came = page.evaluate(CAME, [*kept])
    places = page.evaluate(PLACES)
    page.context.close()
    assert len(seen["lefts"]) == 1, "the sidebar comes where the page already stands"
    assert {"st-key-model", "st-key-example", "st-key-clean", "st-key-corrupted"} <= set(kept)
    assert {key: came[key] for key in kept if abs(came[key] - kept[key]) > 2} == {}
    assert [place for place in places if place[2] < place[1] - 20] == [], "kept, and left empty"
    # The rows of the checks wrap where the page is narrow, and are kept for a wide one.
    assert [place for place in places if place[2] > place[1] + 150 and place[0] != "checks"] == []


@pytest.mark.browser
def test_the_sidebar_stands_while_another_page_comes(address: str, browser: Browser):
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.goto(address)
    settle(page)
    parts = ("model", "example", "clean", "page_links", "guide", "draft")
    for part in parts:
        page.locator(f".st-key-{part}").evaluate("part => part.dataset.seen = 'before'")
    for path, title in [*PAGES.items()][1:]:
        page.locator(".st-key-page_links").get_by_text(title, exact=True).click()
        page.wait_for_url(f"**/{path}*")
        settle(page)
        assert page.get_by_role("heading", name=title, level=1).is_visible()
        seen = {part: page.locator(f".st-key-{part}").get_attribute("data-seen") for part in parts}
        assert seen == dict.fromkeys(parts, "before"), path
    page.context.close()
