"""Everyone can use every page: axe finds nothing, keys do what a pointer does, pictures say what they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from pages.shared.keys import Key
from tests.browser.app import PAGES, PATIENCE, settle

pytestmark = pytest.mark.browser
Open = Callable[..., Page]

#: Views that show what a page does not show at first.
VIEWS = (
    "?answer=+MARY",
    "direct_logit_attribution?unit=layer",
    "direct_logit_attribution?unit=head&position=all",
    "direct_logit_attribution?position=all&run=clean_minus_corrupted",
    "path_patching?source_layer=3&scale=recovery",
    "circuit?layout=tokens&selected=L2H5&pins=embed-L0H1.v~L0H1-L1H0.q",
    "prompt_set?set=alone",
)
_FOCUSED = "() => [document.activeElement.tagName, document.activeElement.className]"
#: What is used, and not only a way to a heading or to an explanation.
_ON_A_CONTROL = """() => {
    const at = document.activeElement;
    const explains = "[data-testid='stHeaderActionElements'], [aria-label^='Help for ']";
    return at.closest("[data-testid='stMain']") !== null && at.closest(explains) === null
        && at.matches('button, input, a, textarea, summary, canvas');
}"""


def barriers(page: Page, within: str | None = None) -> list[str]:
    """What keeps people out of the page, or of what the selector `within` finds there, by axe's judgement."""
    return [
        f"{violation['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for violation in Axe().run(page, within).response["violations"]
        for node in violation["nodes"]
    ]


def cut_off(page: Page, width: int) -> list[str]:
    """What reaches beyond a page so wide."""
    found: list[str] = page.get_by_test_id("stMain").evaluate(
        """(main, width) => [main, ...main.querySelectorAll(
            "h1, h2, p, label, button, svg, [data-testid='stDataFrame'], [data-testid='stTable'] td")]
            .filter(one => one.checkVisibility() && one.getBoundingClientRect().right > width)
            .map(one => one.outerHTML.slice(0, 200))""",
        width,
    )
    return found


def sentences_of_pictures(page: Page) -> list[str]:
    """What screen readers say of each picture; nothing for one that they do not take for a picture."""
    pictures = page.locator("[data-testid='stVegaLiteChart'], [data-testid='stEChartsChart']")
    return [
        picture.get_attribute("aria-label") or ""
        if picture.get_attribute("role") in ("graphics-document", "img")
        else ""
        for picture in pictures.all()
    ]


def rested(page: Page) -> None:
    """Wait until nothing on the page is pale because work goes on: what fades away has no contrast."""
    settle(page)
    page.wait_for_selector("[data-testid='stProgress']", state="detached", timeout=1000 * PATIENCE)
    settle(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_shows_numbers_without_exceptions_or_barriers(open_page: Open, path: str, theme: str):
    page = open_page(path, theme=theme, width=390)
    for width in (390, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 1000})
        rested(page)
        assert not barriers(page)
        assert not cut_off(page, width)
    expect(page.get_by_role("heading", level=1)).to_have_text(PAGES[path])
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.locator(".st-key-error_card")).to_have_count(0)
    sentences = sentences_of_pictures(page)
    assert bool(sentences) == (path != "sanity_checks")
    assert not [said for said in sentences if not said.endswith(".") or len(said.split()) < 6]


@pytest.mark.parametrize("path", VIEWS)
def test_no_view_has_barriers(open_page: Open, path: str):
    page = open_page(path, width=390)
    rested(page)
    assert not barriers(page)


@pytest.mark.parametrize("path", PAGES)
def test_the_first_control_is_three_steps_from_the_skip_link(open_page: Open, path: str):
    page = open_page(path)
    rested(page)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to main content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stMain")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate(_ON_A_CONTROL):
            return
    pytest.fail(f"three steps lead to {page.evaluate(_FOCUSED)}")


@pytest.mark.parametrize(
    ("path", "key", "near"),
    [
        ("direct_logit_attribution", Key.NODE_LIST, ".st-key-node_from_near h2"),
        ("path_patching", Key.PATH_LIST, ".st-key-path_from_near h2"),
        ("circuit", Key.DRAWN_LIST, ".st-key-detail"),
    ],
)
def test_keys_select_what_a_click_on_the_picture_selects(open_page: Open, path: str, key: Key, near: str):
    page = open_page(path)
    rested(page)
    field = page.locator(f".st-key-{key} input")
    field.focus()
    for pressed in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(pressed)
    page.wait_for_function("location.search.includes('selected=')")
    rested(page)
    chosen = field.input_value()
    expect(page.locator(near).first).to_contain_text(chosen)
    page.go_back()
    page.wait_for_function("!location.search.includes('selected=')")
    rested(page)
    expect(field).not_to_have_value(chosen)
