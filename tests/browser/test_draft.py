"""The pair builder in a real browser: one click mends, and Back returns to the pair before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from pages.shared.keys import Key
from tests.browser.app import PATIENCE
from tests.browser.test_back import arrived, steady, until

pytestmark = pytest.mark.browser
Open = Callable[..., Page]


def test_one_click_puts_the_space_and_back_takes_it_away(open_page: Open):
    path = "direct_logit_attribution"
    page = open_page(f"{path}?answer=Mary")
    before, address, steps = steady(page), page.url, page.evaluate("history.length")
    page.get_by_role("button", name="Use ' Mary'").click()
    assert until(page, lambda: page.url != address)
    after = steady(page)
    assert (before[Key.ANSWER], after[Key.ANSWER]) == ("Mary", " Mary")
    assert page.evaluate("history.length") == steps + 1
    expect(page.locator(".st-key-space_answer")).to_have_count(0)
    page.go_back()
    arrived(page, path, before)


def test_the_model_that_was_meant_is_one_click_away(open_page: Open):
    page = open_page("path_patching?model=/models/dmeo")
    expect(page.locator(".st-key-error_card")).to_contain_text("Did you mean 'demo'", timeout=1000 * PATIENCE)
    page.locator(".st-key-error_card").get_by_role("button", name="Use 'demo'").click()
    after = steady(page)
    assert after[Key.MODEL].startswith("demo")
    expect(page.locator(".st-key-error_card")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_nothing_of_the_builder_is_cut_off(open_page: Open, theme: str):
    page = open_page("path_patching", width=390, theme=theme)
    steady(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    builder = page.locator(f".st-key-{Key.DRAFT}")
    expect(builder).to_be_visible()
    sidebar = page.get_by_test_id("stSidebar")
    assert until(page, lambda: sidebar.evaluate("element => element.getBoundingClientRect().left") == 0)
    right = sidebar.evaluate("element => element.getBoundingClientRect().right")
    parts = builder.locator("[role=listitem], button, p").evaluate_all(
        """all => all.map(one => one.getBoundingClientRect()).filter(box => box.width)
            .map(box => [box.left, box.right])"""
    )
    assert len(parts) > 20
    assert [box for box in parts if box[0] < 0 or box[1] > right] == []
