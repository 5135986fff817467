"""The circuit page under a pointer: what a click on the graph selects, keeps, and hands on by its link."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from pages.shared.keys import Key
from tests.browser.app import PATIENCE, settle

pytestmark = pytest.mark.browser
Open = Callable[..., Page]


def measured(page: Page) -> None:
    """Wait until nothing is measured any more."""
    settle(page)
    page.wait_for_selector("[data-testid='stProgress']", state="detached", timeout=1000 * PATIENCE)
    settle(page)


def selected(page: Page) -> str:
    return parse_qs(urlsplit(page.url).query).get(Key.SELECTED, [""])[0]


def click_until_selected(page: Page) -> str:
    """Click down the middle of the graph, where MLPs and logits stand, until something is selected."""
    graph = page.locator(f".st-key-{Key.GRAPH} [data-testid='stEChartsChart'] svg")
    box = graph.bounding_box()
    assert box is not None
    for step in range(2, 39):
        graph.click(position={"x": box["width"] / 2, "y": box["height"] * step / 40})
        page.wait_for_timeout(300)
        settle(page)  # else the next click would let go of what this one has selected
        if selected(page):
            return selected(page)
    raise AssertionError("no click down the middle of the graph selected anything")


def test_a_click_on_the_graph_selects_what_a_fresh_link_and_forward_show_again(open_page: Open):
    page = open_page("circuit")
    measured(page)
    expect(page.locator(".st-key-detail")).to_have_count(0)
    clicked = click_until_selected(page)
    detail = page.locator(".st-key-detail")
    expect(detail.get_by_text(clicked, exact=True).first).to_be_visible(timeout=1000 * PATIENCE)
    settle(page)
    link = urlsplit(page.url)

    fresh = open_page(f"circuit?{link.query}")
    measured(fresh)
    expect(fresh.locator(".st-key-detail").get_by_text(clicked, exact=True).first).to_be_visible()

    page.go_back()
    expect(detail).to_have_count(0, timeout=1000 * PATIENCE)
    page.go_forward()
    expect(detail.get_by_text(clicked, exact=True).first).to_be_visible(timeout=1000 * PATIENCE)


def test_a_path_that_is_kept_stays_drawn_in_a_fresh_link_when_the_slider_is_at_nothing(open_page: Open):
    page = open_page("circuit?selected=L0H7+%E2%86%92+L2H5.v")
    measured(page)
    page.locator(".st-key-pin").get_by_role("button").click()
    page.wait_for_function("location.search.includes('pins=')")
    settle(page)
    fresh = open_page(f"circuit?{urlsplit(page.url).query}&edges=0")
    measured(fresh)
    expect(fresh.locator(".st-key-unpin")).to_be_visible()
    expect(fresh.get_by_role("img", name="1 path between 2 nodes")).to_be_visible()
