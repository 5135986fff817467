"""Back and Forward: each deliberate change is one step, and every step shows a whole experiment."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from analysis.demo_model.examples import EXAMPLES
from pages.shared.keys import Key
from tests.browser.app import PAGES, PATIENCE, choose, settle

pytestmark = pytest.mark.browser
Open = Callable[..., Page]
Act = Callable[[Page], None]

#: Everything that a visitor can set, on whichever page it is.
_CONTROLS = (
    Key.MODEL, Key.EXAMPLE, Key.CLEAN, Key.CORRUPTED, Key.ANSWER, Key.FOIL, Key.UNIT, Key.RUN, Key.POSITION,
    Key.COMPONENT, Key.LAYER_NORM, Key.METRIC, Key.SCALE, Key.SOURCE, Key.INPUTS, Key.MAP_LIST,
    Key.EDGES, Key.LAYOUT, Key.COMPARED, Key.B_MODEL, Key.B_EXAMPLE, Key.B_RUN, Key.B_POSITION,
    Key.B_LAYER_NORM,
)  # fmt: skip
_READ = """keys => Object.fromEntries(keys.map(key => [key, document.querySelector('.st-key-' + key)])
    .filter(([key, control]) => control !== null)
    .map(([key, control]) => [key, [
        ...[...control.querySelectorAll("[role='slider']")].map(thumb => thumb.getAttribute('aria-valuenow')),
        ...[...control.querySelectorAll('input, textarea')].map(field => field.value),
        ...[...control.querySelectorAll("button[aria-checked='true']")].map(button => button.innerText),
        ...[...control.querySelectorAll('[data-testid="stSelectbox"]')].map(select => select.innerText),
    ].join('|')]))"""


def seen(page: Page) -> dict[str, str]:
    """What every control on the page shows."""
    return page.evaluate(_READ, [str(key) for key in _CONTROLS])


def until(page: Page, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE / 4
    while not holds():
        if time.monotonic() > end:
            return False
        page.wait_for_timeout(100)
    return True


def steady(page: Page) -> dict[str, str]:
    """What the controls show once nothing changes any more."""
    settle(page)
    shown: list[dict[str, str]] = [{}]

    def unchanged() -> bool:
        page.wait_for_timeout(400)
        shown.append(seen(page))
        return shown[-1] == shown[-2]

    assert until(page, unchanged)
    settle(page)
    return shown[-1]


def pressed(key: Key, title: str) -> Act:
    return lambda page: page.locator(f".st-key-{key}").get_by_text(title, exact=True).click()


def chosen(key: Key, title: str) -> Act:
    return lambda page: choose(page, key, title)


def typed(key: Key, text: str) -> Act:
    def act(page: Page) -> None:
        page.locator(f".st-key-{key} input, .st-key-{key} textarea").first.fill(text)
        page.keyboard.press("Control+Enter" if key in (Key.CLEAN, Key.CORRUPTED) else "Enter")

    return act


def searched(key: Key, title: str) -> Act:
    """Found in a long list by the keyboard alone."""

    def act(page: Page) -> None:
        page.locator(f".st-key-{key} input").focus()
        page.keyboard.type(title)
        expect(page.get_by_role("option")).to_have_text([title])
        page.keyboard.press("Enter")

    return act


def on_the_map(page: Page, head: str) -> Locator:
    """The cell of a head on the map of sources."""
    return page.locator(f"[class*=st-key-{Key.SOURCE_MAP}] path[aria-label*='source: {head};']").first


def block(page: Page, source: str, destination: str) -> Locator:
    """The cell of a block on the folded map."""
    cells = page.locator(f".st-key-{Key.LAYER_MAP} path[aria-label*='source: {source}H']")
    return cells.and_(page.locator(f"path[aria-label*='destination: {destination}H']")).first


def moved(key: Key, steps: int) -> Act:
    def act(page: Page) -> None:
        page.locator(f".st-key-{key}").get_by_role("slider").focus()
        for _ in range(steps):
            page.keyboard.press("ArrowRight")

    return act


ANYWHERE = {
    "the foil": typed(Key.FOIL, " Helen"),
    "the corrupted prompt": typed(Key.CORRUPTED, "When Mary and John went to the store, Tom gave a drink to"),
    "the example": chosen(Key.EXAMPLE, EXAMPLES[2].title),
    "a generated prompt": lambda page: page.locator(
        f".st-key-{Key.GENERATE}_another_example button"
    ).first.click(),
    "a predicted foil": lambda page: (
        page.locator(f".st-key-{Key.NEXT}_{Key.FOIL}").get_by_text("·Emily").click()
    ),
    "both prompts swapped": lambda page: page.locator(f".st-key-{Key.SWAP} button").first.click(),
}
PATCHING = {
    "the patched input": pressed(Key.COMPONENT, "Key"),
    "LayerNorm": pressed(Key.LAYER_NORM, "Exact"),
    "the metric": chosen(Key.METRIC, "Probability of the answer"),
    "the scale": pressed(Key.SCALE, "Recovery"),
}
ACTS: dict[str, dict[str, Act]] = {
    "": ANYWHERE,
    "direct_logit_attribution": {
        "the unit": pressed(Key.UNIT, "Layer"),
        "the prompt": pressed(Key.RUN, "Corrupted"),
        "the position": chosen(Key.POSITION, "All positions"),
    },
    "path_patching": PATCHING
    | {
        "the source": searched(Key.SOURCE, "L1H4"),
        "the source on the map": lambda page: on_the_map(page, "L2H3").click(),
        "the foil": ANYWHERE["the foil"],
    },
    "all_sources": {
        "the patched input": PATCHING["the patched input"],
        "the example": ANYWHERE["the example"],
        "the inputs in the map": pressed(Key.INPUTS, "Strongest of three"),
        "the map": searched(Key.MAP_LIST, "L1 → L3"),
    },
    "all_sources?map=layers": {"a block of the map": lambda page: block(page, "L0", "L2").click()},
    "circuit": {
        "the layout": pressed(Key.LAYOUT, "Tokens"),
        "the number of paths": moved(Key.EDGES, 1),
    },
    "compare": {
        "what is compared": pressed(Key.COMPARED, "Strongest paths"),
        "B's pair": chosen(Key.B_EXAMPLE, EXAMPLES[2].title),
        "B's run": chosen(Key.B_RUN, "Clean minus corrupted"),
        "both sides exchanged": lambda page: page.locator(f".st-key-{Key.EXCHANGE} button").first.click(),
    },
    "sanity_checks": {"the foil": ANYWHERE["the foil"]},
}


def arrived(page: Page, path: str, shown: dict[str, str]) -> None:
    """The page at `path` stands still and shows `shown`, with no error."""
    title = PAGES[path.partition("?")[0]]
    expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=1000 * PATIENCE)
    assert until(page, lambda: seen(page) == shown), (seen(page), shown)
    assert steady(page) == shown
    expect(page.locator(".st-key-error_card")).to_have_count(0)


@pytest.mark.parametrize(("path", "what"), [(path, what) for path, acts in ACTS.items() for what in acts])
def test_back_undoes_one_change_and_forward_does_it_again(open_page: Open, path: str, what: str):
    page = open_page(path)
    before, address, steps = steady(page), page.url, page.evaluate("history.length")
    ACTS[path][what](page)
    assert until(page, lambda: page.url != address and seen(page) != before)
    after, changed = steady(page), page.url
    assert after != before
    assert page.evaluate("history.length") == steps + 1, "one change is one step"

    page.go_back()
    arrived(page, path, before)
    assert page.url == address
    page.go_forward()
    arrived(page, path, after)
    assert page.url == changed
    page.reload()
    arrived(page, path, after)
    link = urlsplit(changed)
    fresh = open_page(f"{link.path.lstrip('/')}?{link.query}")
    arrived(fresh, path, after)


def test_back_goes_through_pages_and_changes_alike(open_page: Open):
    page = open_page()
    history = [("", steady(page))]
    for act, path in ((ANYWHERE["the example"], "all_sources"), (PATCHING["LayerNorm"], "sanity_checks")):
        address = page.url
        act(page)
        page.wait_for_function("address => location.href !== address", arg=address)
        history.append((history[-1][0], steady(page)))
        page.get_by_role("link", name=PAGES[path], exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(PAGES[path], timeout=1000 * PATIENCE)
        history.append((path, steady(page)))
    there = page.url
    for path, shown in history[-2::-1]:
        page.go_back()
        arrived(page, path, shown)
    for path, shown in history[1:]:
        page.go_forward()
        arrived(page, path, shown)
    assert page.url == there


def test_a_click_on_the_map_that_back_undid_can_be_done_again(open_page: Open):
    page = open_page("path_patching")
    before, steps = steady(page), page.evaluate("history.length")
    for _ in range(2):
        on_the_map(page, "L1H4").click()
        page.wait_for_function("location.search.includes('source_layer=1&source_head=4')")
        assert steady(page)[Key.SOURCE].startswith("L1H4|")
        assert page.evaluate("history.length") == steps + 1
        page.go_back()
        arrived(page, "path_patching", before)
