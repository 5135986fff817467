"""What a person does who wants to know how a model comes to its answer, step by step, in a browser."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from pages.shared.keys import Key
from tests.browser.app import PATIENCE, settle, take_along
from tests.charts.drawn import as_number

_SLOW = 1000 * PATIENCE
_NODE = re.compile(r"node: (\S.*?); logits: ([+\N{MINUS SIGN}]\S+)")  # others are below rounding
_READS_MOST = re.compile(r"^Attention of (\S+), .*\. The last token reads most from (\d+): (\S+)\.$")


@dataclass(frozen=True)
class Attends:
    """A head, and the token that its last position reads most from."""

    head: str
    position: int
    token: str


def follow(page: Page, label: str, title: str) -> None:
    """Take the link `label` in the page itself, and wait for the page of that title."""
    page.get_by_test_id("stMain").get_by_role("link", name=label).click()
    arrive(page, title)


def go_to(page: Page, title: str) -> None:
    """Take a page's link in the sidebar."""
    page.locator(".st-key-page_links").get_by_text(title, exact=True).click()
    arrive(page, title)


def arrive(page: Page, title: str) -> None:
    """Wait until the page of that title stands still."""
    expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=_SLOW)
    settle(page)
    page.wait_for_selector("[data-testid='stProgress']", state="detached", timeout=_SLOW)
    settle(page)


def said(page: Page) -> str:
    """The sentences of the page."""
    return "\n".join(page.get_by_test_id("stMain").get_by_test_id("stText").all_inner_texts())


def strongest_head(page: Page) -> str:
    """On the map of what each node writes: click the head that writes most to the answer."""
    cells = page.locator(f".st-key-{Key.NODE_MAP} path[aria-label*='node: L']")
    expect(cells.first).to_be_visible(timeout=_SLOW)
    written: dict[str, float] = {}
    for label in cells.evaluate_all("cells => cells.map(cell => cell.getAttribute('aria-label'))"):
        found = _NODE.search(label)
        if found is not None and re.fullmatch(r"L\d+H\d+", found[1]):
            written[found[1]] = as_number(found[2])
    head = max(written, key=written.__getitem__)
    page.locator(f".st-key-{Key.NODE_MAP} path[aria-label*='node: {head};']").first.click()
    expect(page.locator(".st-key-node_from_near h2")).to_have_text(head, timeout=_SLOW)
    page.wait_for_function("head => location.search.includes(`selected=${head}`)", arg=head)
    settle(page)
    return head


def why_it_attends(page: Page, head: str) -> Attends:
    """On the panel of the head: the pattern on the clean run, and what it reads at the last position."""
    near = page.locator(".st-key-node_from_near")
    expect(near.locator(f"[aria-label^='Attention of {head}']")).to_be_visible(timeout=_SLOW)
    settle(page)
    view = page.get_by_role("option", name="attention, clean run", exact=True)
    for _ in range(10):  # an open list closes when the page draws it anew
        near.get_by_role("combobox", name=f"What {head} attends to").click()
        page.wait_for_timeout(1000)
        if view.is_visible():
            break
    view.click()
    pattern = near.locator(f"[aria-label^='Attention of {head}, clean run']")
    expect(pattern).to_be_visible(timeout=_SLOW)
    settle(page)
    found = _READS_MOST.match(pattern.get_attribute("aria-label") or "")
    assert found is not None
    return Attends(found[1], int(found[2]), found[3])


def strongest_path(page: Page) -> tuple[str, float]:
    """On the page of all sources: the path that leads over query, key and value, and its effect."""
    found = re.search(
        r"^(L\d+H\d+) tells (L\d+H\d+)'s (query|key|value): (\S+) logits", said(page), re.MULTILINE
    )
    assert found is not None, said(page)
    return f"{found[1]} → {found[2]}.{found[3][0]}", as_number(found[4])


def robust_path(page: Page) -> tuple[str, int, int]:
    """On the page of a prompt set: the first path that is robust, and in how many of all prompts it leads."""
    found = re.search(r"robust, first (\S+ → \S+)[^,]*, among the strongest in (\d+) of (\d+)", said(page))
    assert found is not None, said(page)
    return found[1], int(found[2]), int(found[3])


def script_of(page: Page, name: str) -> str:
    """Open the menu of what is called `name`, and read the Python that asks its question."""
    take_along(page, name)
    code = page.get_by_test_id("stDialog").locator("code")
    expect(code).to_be_visible(timeout=_SLOW)
    script = code.inner_text()
    page.keyboard.press("Escape")
    page.get_by_test_id("stDialog").wait_for(state="detached")
    return script
