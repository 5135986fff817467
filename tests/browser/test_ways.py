"""Ways from one page to another that change the view: they do, in one step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from analysis.demo_model.examples import EXAMPLES
from pages.shared.keys import Key
from tests.browser.app import PAGES, PATIENCE
from tests.browser.test_back import arrived, steady
from tests.browser.test_barriers import barriers
from tests.browser.test_pages import query

pytestmark = pytest.mark.browser
Open = Callable[..., Page]


def test_what_stands_out_is_selected_in_the_circuit_and_back_leads_back(open_page: Open):
    path = "direct_logit_attribution"
    page = open_page(f"{path}?unit=head&foil=+Helen")
    before, steps = steady(page), page.evaluate("history.length")
    way = page.get_by_role("link", name="in the circuit").first
    node = way.inner_text().split("\n")[-1].removesuffix(" in the circuit")
    way.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Circuit", timeout=1000 * PATIENCE)
    steady(page)
    assert query(page)[Key.SELECTED] == [node]
    assert query(page)[Key.FOIL] == [" Helen"]
    assert page.evaluate("history.length") == steps + 1
    page.go_back()
    arrived(page, path, before)


def test_a_step_of_the_tour_opens_its_example_in_one_step_and_back_leads_back(open_page: Open):
    page = open_page("sanity_checks?foil=+Helen&metric=answer_probability")
    before, steps = steady(page), page.evaluate("history.length")
    page.locator(f"[class*='st-key-{Key.GUIDE}_tour'] button").first.click()
    page.get_by_role("link", name="3. All sources").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All sources", timeout=1000 * PATIENCE)
    after = steady(page)
    expect(page.get_by_test_id("stPopoverBody")).to_have_count(0)
    assert query(page) == {Key.COMPONENT: ["v"]}
    assert after[Key.FOIL] == EXAMPLES[0].foil
    assert page.evaluate("history.length") == steps + 1
    page.go_back()
    arrived(page, "sanity_checks", before)


@pytest.mark.parametrize(
    ("path", "panel", "theme"),
    [
        *((path, "help", "light") for path in PAGES),
        *(("path_patching", panel, "dark") for panel in ("help", "tour", "about")),
    ],
)
def test_a_panel_of_the_guide_fits_a_phone_and_has_no_barriers(
    open_page: Open, path: str, panel: str, theme: str
):
    page = open_page(path, width=390, theme=theme)
    steady(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.locator(f"[class*='st-key-{Key.GUIDE}_{panel}'] button").first.click()
    body = page.get_by_test_id("stPopoverBody")
    expect(body).to_be_visible()
    page.wait_for_timeout(500)  # until it stands still
    box = body.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert not barriers(page, "[data-testid=stPopoverBody]")
