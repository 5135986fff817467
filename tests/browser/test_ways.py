"""Ways from one page to another that change the view: they do, in one step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from pages.shared.keys import Key
from tests.browser.app import PATIENCE
from tests.browser.test_back import arrived, steady
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
