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
ROWS = """tables => tables.flatMap(table => [...table.querySelectorAll("canvas tbody tr")]
    .map(row => [...row.cells].map(cell => cell.textContent).join("; ")))"""


def cells(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} path[aria-label*='value: ']")


def marked(marks: Locator) -> set[str]:
    return {said for said, width in marks.evaluate_all(STROKE) if width == "2px"}


def rows(page: Page, key: str) -> list[str]:
    """What is written in the rows of a table that can be seen."""
    said: list[str] = page.locator(f".st-key-{key} [data-testid='stDataFrame']").evaluate_all(ROWS)
    return said


def marked_rows(page: Page, key: str, kind: str = "div") -> list[str]:
    """What is written in the rows of a table that are marked, by where the marks are."""
    table = page.locator(f".st-key-{key} [data-testid='stDataFrame']")
    marks = [mark.bounding_box() for mark in table.locator(f".marked-rows > {kind}").all()]
    box, said = table.bounding_box(), rows(page, key)
    assert box is not None
    numbers = [round((mark["y"] - box["y"]) / mark["height"]) - 1 for mark in marks if mark is not None]
    return [said[number] for number in numbers]


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


def test_a_row_marks_its_ends_on_the_map_and_a_cell_of_the_map_the_rows_that_hold_them(open_page: Open):
    page = open_page("all_sources")
    settle(page)
    table, chart = page.locator(f".st-key-{Key.EDGE_TABLE}"), cells(page, Key.EDGE_CHART)
    table.scroll_into_view_if_needed()
    expect(table.locator("canvas tbody tr").first).to_be_attached()
    third = rows(page, Key.EDGE_TABLE)[2]
    ends = re.findall(r"L\d+H\d+", third)
    expected = {said for said, _ in chart.evaluate_all(STROKE) if any(f"{end};" in said for end in ends)}
    box = table.locator("[data-testid='stDataFrame']").bounding_box()
    assert len(ends) == 2 and len(expected) > 10 and box is not None
    row_height = 33
    page.mouse.move(box["x"] + 150, box["y"] + 3.5 * row_height)  # the head is the first
    assert marked(chart) == expected
    holding = [said for said in rows(page, Key.EDGE_TABLE) if any(end in said for end in ends)]
    assert third in holding
    assert marked_rows(page, Key.EDGE_TABLE) == holding
    assert marked_rows(page, Key.EDGE_TABLE, ".with-all") == [third]
    page.mouse.move(box["x"] + 150, box["y"] + 0.5 * row_height)
    assert not marked(chart) and not marked_rows(page, Key.EDGE_TABLE)

    cell = chart.and_(page.locator(f"[aria-label*='source: {ends[0]}; destination: {ends[1]};']"))
    cell.hover()
    assert marked_rows(page, Key.EDGE_TABLE) == holding
    # Where the first mark stands is the row that it is taken for: a click there selects that path.
    mark = table.locator(".marked-rows > div").first.bounding_box()
    assert mark is not None
    page.mouse.click(mark["x"] + 15, mark["y"] + mark["height"] / 2)
    source, destination = re.findall(r"L\d+H\d+", holding[0])
    title = page.get_by_role("heading", name=re.compile(rf"^{source} → {destination}\."))
    expect(title).to_be_visible()


def test_what_is_pointed_at_in_the_graph_is_marked_in_the_table_until_its_tip_is_hidden(open_page: Open):
    page = open_page("circuit")
    settle(page)
    page.set_viewport_size({"width": 1280, "height": 1700})
    graph = page.locator(f".st-key-{Key.GRAPH} [data-testid='stEChartsChart']")
    tip, box = graph.locator("> div[style*='z-index']"), graph.bounding_box()
    held = page.get_by_test_id("stDataFrame").first
    expect(held.locator("canvas tbody tr").first).to_be_attached()
    assert box is not None
    for step in range(4, 38):  # down the middle, where MLPs stand
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * step / 40)
        page.wait_for_timeout(150)
        said = tip.inner_text() if tip.count() else ""
        if re.fullmatch(r"MLP\d+", said):
            break
    expect(held.locator(".marked-rows > div").first).to_be_attached()
    written = held.evaluate_all(ROWS)
    assert held.locator(".marked-rows > div").count() == sum(said in row for row in written) > 0
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    expect(held.locator(".marked-rows > div")).to_have_count(0)


def test_a_row_and_the_graph_mark_what_the_graph_and_the_table_show(open_page: Open):
    page = open_page("circuit")
    settle(page)
    page.set_viewport_size({"width": 1280, "height": 1700})
    nodes = page.locator(f".st-key-{Key.GRAPH} [data-testid='stEChartsChart'] text")
    table = page.get_by_test_id("stDataFrame").first
    expect(table.locator("canvas tbody tr").first).to_be_attached()
    box = table.bounding_box()
    assert box is not None
    said = table.evaluate_all(ROWS)
    number = next(at for at, row in enumerate(said) if len(re.findall(r"\bL\d+H\d+|MLP\d+", row)) == 2)
    page.mouse.move(box["x"] + 40, box["y"] + (number + 1.5) * 33)
    ends = set(re.findall(r"\bL\d+H\d+|MLP\d+", said[number]))
    marked = nodes.evaluate_all(
        "all => all.filter(each => getComputedStyle(each).fontWeight === '800').map(each => each.textContent)"
    )
    assert set(marked) == ends
    page.get_by_role("heading", level=1).hover()
    expect(page.locator(".marked-node")).to_have_count(0)
