"""Every page in a real browser: nothing breaks, and links and clicks lead where they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from analysis.demo_model.examples import EXAMPLES
from pages.shared.keys import Key
from tests.browser.app import PAGES, PATIENCE, complaints, served, settle, take_along

pytestmark = pytest.mark.browser
Open = Callable[..., Page]


def value(page: Page, key: Key) -> str:
    return page.locator(f".st-key-{key} input, .st-key-{key} textarea").first.input_value()


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_a_table_leaves_by_the_button_whose_file_holds_no_formula_and_by_no_other(open_page: Open):
    page = open_page("direct_logit_attribution")
    settle(page)
    page.get_by_test_id("stDataFrame").first.hover()
    expect(page.get_by_role("button", name="Search").first).to_be_visible()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
    take_along(page, "attribution_node")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert download.value.path().read_text().startswith('"node","name","position","token",')


def test_a_link_opens_the_same_experiment_and_view(open_page: Open):
    sender = open_page("path_patching")
    settle(sender)
    sender.locator(f".st-key-{Key.CORRUPTED} textarea").fill(
        "When Mary and John went to the store, Helen gave a drink to"
    )
    sender.keyboard.press("Control+Enter")
    sender.locator(f".st-key-{Key.COMPONENT}").get_by_text("Key").click()
    sender.wait_for_function("location.search.includes('component=k') && location.search.includes('Helen')")
    settle(sender)

    receiver = open_page(sender.url.split("/", 3)[3])
    settle(receiver)
    assert value(receiver, Key.CORRUPTED) == value(sender, Key.CORRUPTED)
    expect(receiver.locator(f".st-key-{Key.COMPONENT} button[aria-checked='true']")).to_have_text("Key")
    assert query(receiver) == query(sender)


def test_a_link_is_the_first_thing_that_a_fresh_server_sees(browser: Browser, tmp_path: Path):
    with served(tmp_path) as address:
        page = browser.new_context().new_page()
        found = complaints(page)
        page.goto(f"{address}/path_patching?component=Key")
        expect(page.get_by_role("heading", level=1)).to_have_text("Path patching", timeout=1000 * PATIENCE)
        settle(page)
        links = page.locator(".st-key-page_links").get_by_role("link")
        assert [link.inner_text().split("\n")[-1] for link in links.all()] == [
            *PAGES.values(),
            "History",
        ]
        expect(page.locator(f".st-key-{Key.COMPONENT} button[aria-checked='true']")).to_have_text("Key")
        page.context.close()
    assert not found


def test_a_first_visit_takes_the_first_example_through_all_pages(open_page: Open):
    page = open_page()
    settle(page)
    assert page.evaluate("history.length") <= 2, "Back no longer leads where the visitor came from"
    for title in (*list(PAGES.values())[1:], "Result"):
        settle(page)
        page.locator(".st-key-page_links").get_by_role("link", name=title).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        settle(page)
        expect(page.locator(".st-key-error_card")).to_have_count(0)
        assert value(page, Key.CLEAN) == EXAMPLES[0].clean


def test_an_emptied_prompt_stays_empty_on_another_page(open_page: Open):
    page = open_page()
    settle(page)
    page.locator(f".st-key-{Key.CLEAN} textarea").fill("")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".st-key-error_card")).to_be_visible()
    page.locator(".st-key-page_links").get_by_role("link", name="Path patching").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Path patching")
    settle(page)
    assert value(page, Key.CLEAN) == ""


def test_the_experiment_and_the_view_stay_when_the_page_changes(open_page: Open):
    page = open_page("path_patching")
    settle(page)
    page.locator(f".st-key-{Key.FOIL} input").fill(" Helen")
    page.keyboard.press("Enter")
    page.wait_for_function("location.search.includes('Helen')")
    settle(page)
    page.locator(f".st-key-{Key.COMPONENT}").get_by_text("Key").click()
    page.wait_for_function("location.search.includes('component=k') && location.search.includes('Helen')")
    for title in ("Direct logit attribution", "All sources"):
        page.locator(".st-key-page_links").get_by_role("link", name=title).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        settle(page)
        assert value(page, Key.FOIL) == " Helen"
        page.wait_for_function("location.search.includes('foil=+Helen')")
    expect(page.locator(f".st-key-{Key.COMPONENT} button[aria-checked='true']")).to_have_text("Key")
    page.wait_for_function("location.search.includes('component=k')")


def test_a_click_on_an_edge_shows_it_from_near_and_leads_on_with_the_same_experiment(open_page: Open):
    page = open_page("all_sources?component=Key&answer=%20Mary&foil=%20Helen")
    settle(page)
    cell = page.locator(f".st-key-{Key.EDGE_CHART} path[aria-label*='L1H2'][aria-label*='L3H4']").first
    cell.click(timeout=1000 * PATIENCE)
    page.wait_for_function("location.search.includes('selected=')")
    assert query(page)[Key.SELECTED] == ["L1H2 → L3H4.k"]
    near = page.locator(".st-key-path_from_near")
    expect(near.get_by_role("heading", name="L1H2 → L3H4.k")).to_be_visible(timeout=1000 * PATIENCE)
    settle(page)
    near.get_by_role("button", name="All paths of L1H2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Path patching", timeout=1000 * PATIENCE)
    settle(page)
    assert value(page, Key.SOURCE) == "L1H2"
    expect(page.get_by_role("heading", name="Strongest destinations of L1H2")).to_be_visible()
    expect(page.get_by_role("heading", name="L1H2 → L3H4.k")).to_be_visible()
    page.wait_for_function("location.search.includes('source_layer=1')")
    assert (query(page)[Key.SOURCE_HEAD], query(page)[Key.FOIL]) == (["2"], [" Helen"])
    assert value(page, Key.FOIL) == " Helen"
    expect(page.locator(f".st-key-{Key.COMPONENT} button[aria-checked='true']")).to_have_text("Key")


def test_the_heat_map_zooms_and_stays_zoomed_when_its_numbers_change(open_page: Open):
    page = open_page("all_sources?component=Value")
    settle(page)
    heads = page.locator(f".st-key-{Key.EDGE_CHART} .role-axis-label text").filter(has_text="H")
    chart = page.locator(f".st-key-{Key.EDGE_CHART} svg.marks")
    expect(heads).to_have_count(2 * 24, timeout=1000 * PATIENCE)
    chart.hover()
    page.mouse.wheel(0, -300)
    expect(heads).to_have_count(2 * 24)
    chart.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    expect(heads).not_to_have_count(2 * 24)
    zoomed = set(heads.all_text_contents())
    page.keyboard.down("Shift")
    page.mouse.down()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.6 * box["height"], steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    settle(page)
    near = set(heads.all_text_contents())
    assert near != zoomed
    page.locator(f".st-key-{Key.SCALE}").get_by_text("Recovery").click()
    page.wait_for_function("location.search.includes('scale=recovery')")
    expect(chart.get_by_text("recovery", exact=True)).to_be_visible()
    settle(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("All sources")
    assert set(heads.all_text_contents()) == near


def test_an_error_card_names_the_fault_and_its_button_mends_it(open_page: Open):
    page = open_page("direct_logit_attribution?answer=+MARY")
    settle(page)
    page.locator(".st-key-error_card").get_by_role("button", name="' Mary'").click()
    page.locator(".st-key-error_card").wait_for(state="detached", timeout=1000 * PATIENCE)
    settle(page)
    assert value(page, Key.ANSWER) == " Mary"
