"""What leaves a page in a real browser: one menu, its options, and a report that opens by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from pages.shared.keys import Key
from tests.browser.app import PAGES, complaints, settle, take_along
from tests.browser.test_barriers import barriers

pytestmark = pytest.mark.browser
Open = Callable[..., Page]


def leaves(page: Page, label: str) -> Path:
    """The file that the button of that label in the open menu gives."""
    with page.expect_download() as download:
        page.get_by_test_id("stDialog").get_by_role("button", name=label, exact=True).click()
    return Path(download.value.path())


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_the_menu_which_everyone_can_use(open_page: Open, path: str):
    page = open_page(path)
    settle(page)
    page.wait_for_selector("[data-testid='stProgress']", state="detached")
    take_along(page)
    body = page.get_by_test_id("stDialog")
    for label in ("HTML", "CSV", "JSON", "Parquet", "Provenance", "Script", "Notebook"):
        expect(body.get_by_role("button", name=label, exact=True)).to_be_visible()
    assert not barriers(page, "[data-testid='stDialog']")


def test_a_report_opens_alone_and_asks_nobody_for_anything(open_page: Open, browser: Browser, tmp_path: Path):
    page = open_page("path_patching")
    settle(page)
    take_along(page, "paths_from")
    file = leaves(page, "HTML").replace(tmp_path / "report.html")
    alone = browser.new_context(java_script_enabled=False).new_page()
    asked: list[str] = []
    alone.on("request", lambda request: asked.append(request.url))
    said = complaints(alone)
    alone.goto(file.as_uri())
    expect(alone.get_by_role("heading", level=1)).to_contain_text("Direct paths from")
    expect(alone.locator("svg")).to_have_count(3)
    assert asked == [file.as_uri()] and not [text for text in said if "file:" not in text]
    assert not alone.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    link = alone.get_by_role("link").get_attribute("href")
    assert link and link.partition("?")[0] == page.url.partition("?")[0]
    alone.context.close()


def test_the_options_of_a_figure_are_those_of_its_file(open_page: Open):
    page = open_page("direct_logit_attribution")
    settle(page)
    take_along(page, "attribution_node")
    body = page.get_by_test_id("stDialog")
    body.get_by_text("Page, 6.75 in").click()
    body.get_by_text("Title", exact=True).click()
    body.get_by_text("Caption", exact=True).click()
    expect(page.locator(f"[class*='st-key-{Key.FIGURE_WIDTH}'] [aria-checked='true']")).to_have_text(
        "Page, 6.75 in"
    )
    settle(page)
    svg = ElementTree.parse(leaves(page, "SVG")).getroot()
    assert svg.attrib["width"] == "6.7500in"
    words = " ".join("".join(one.itertext()) for one in svg.iter("{http://www.w3.org/2000/svg}text"))
    assert "What each node writes to answer minus foil" in words and "Pathscope" not in words
    assert leaves(page, "PDF").read_bytes().startswith(b"%PDF")


def test_code_is_copied_as_what_it_needs(open_page: Open):
    page = open_page("direct_logit_attribution")
    settle(page)
    take_along(page, "attribution_node")
    script = leaves(page, "Script").read_text()
    assert "needs TransformerLens 4.3 alone" in script
    notebook = nbformat.reads(leaves(page, "Notebook").read_text(), as_version=4)
    assert all(cell.source in script for cell in notebook.cells if cell.cell_type == "code")
    page.get_by_test_id("stDialog").get_by_text("With Pathscope").click()
    expect(page.get_by_test_id("stDialog").get_by_test_id("stCode")).to_contain_text("from analysis.answers")
    settle(page)
    assert "from analysis.answers import answer" in leaves(page, "Script").read_text()
    assert json.loads(leaves(page, "JSON").read_text())["origin"]["model"] == "demo"
