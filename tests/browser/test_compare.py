"""Two models compared, and the way back from the history, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from analysis.answers import answer
from analysis.labels import node_name
from analysis.results import NodeAttributionRequest
from pages.shared.keys import Key
from tests.browser.app import PATIENCE, complaints, served, settle
from tests.browser.test_prompt_set import downloaded, rows
from tests.pages.test_compare import OF_A, without_its_last_mlp

pytestmark = pytest.mark.browser
Open = Callable[..., Page]

#: A Python in which no model can run.
_WITHOUT_TORCH = "import sys\nsys.modules['torch'] = None\n"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return without_its_last_mlp(tmp_path_factory.mktemp("checkpoint") / "model")


def differences(page: Page) -> list[dict[str, str]]:
    """The table of the comparison, as it is downloaded."""
    return rows(downloaded(page, "comparison.csv"))


def test_two_models_attribution_is_compared_and_the_link_shows_the_same_to_others(
    open_page: Open, checkpoint: Path
):
    page = open_page("compare")
    settle(page)
    field = page.locator(f".st-key-{Key.B_MODEL} input")
    field.fill(str(checkpoint))
    field.press("Enter")
    page.wait_for_function("location.search.includes('b_model=')")
    settle(page)
    expect(page.get_by_text("only where both models are checkpoints of one training")).to_be_visible()

    table = differences(page)
    ours, theirs = (
        answer(NodeAttributionRequest(replace(OF_A, model=model))).result
        for model in ("demo", str(checkpoint))
    )
    found = {row["item"]: (float(row["a"]), float(row["b"]), float(row["difference"])) for row in table}
    assert len(found) == len(table) > 30
    for index, label in enumerate(ours.labels):
        a, b = (float(result.shown("clean")[index, -1]) for result in (ours, theirs))
        if a or b:
            told = found.pop(node_name(label))
            assert told == pytest.approx((a, b, b - a), abs=1e-4)
    assert not found, "and nothing else"
    first = table[0]
    goes = "falls" if float(first["difference"]) < 0 else "rises"
    expect(page.get_by_text(f"{first['item']}'s attribution {goes} from")).to_be_visible()

    link = urlsplit(page.url)
    fresh = open_page(f"{link.path.lstrip('/')}?{link.query}")
    settle(fresh)
    expect(fresh.get_by_text("Read from the store.")).to_be_visible()
    assert differences(fresh) == table


@pytest.fixture
def two_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[], str]]]:
    """A server, and one on the same store that is begun later and cannot run a model."""
    opened = []
    with served(tmp_path / "store") as first:

        def second() -> str:
            (tmp_path / "python").mkdir()
            (tmp_path / "python" / "sitecustomize.py").write_text(_WITHOUT_TORCH)
            monkeypatch.setenv("PYTHONPATH", str(tmp_path / "python"))
            opened.append(served(tmp_path / "store"))
            return opened[0].__enter__()

        yield first, second
    for server in opened:
        server.__exit__(None, None, None)


def test_a_result_is_opened_from_the_history_where_no_model_can_run(
    browser: Browser, two_servers: tuple[str, Callable[[], str]]
):
    first, second = two_servers
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    found = complaints(page)
    page.goto(f"{first}/path_patching?{urlencode({'foil': ' Helen'})}")
    settle(page)
    said = page.get_by_text("through this one path").first.inner_text()
    page.goto(f"{first}/history")
    expect(page.get_by_text("Earlier in this browser")).to_be_visible(timeout=1000 * PATIENCE)
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.locator("[data-testid='stImage'] img")).to_have_count(1)

    # Browsers keep cookies by host, whatever the port.
    later = second()
    page.goto(f"{later}/?clean=x+y+z")
    settle(page)
    expect(page.get_by_test_id("stException")).to_be_visible()  # which proves that none can
    page.locator(".st-key-page_links").get_by_role("link", name="History").click()
    expect(page.get_by_text(said)).to_be_visible(timeout=1000 * PATIENCE)
    page.locator(f"[class*='st-key-{Key.HISTORY}_']").get_by_role("link", name="Path patching").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Path patching", timeout=1000 * PATIENCE)
    settle(page)
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.get_by_text("Read from the store.")).to_be_visible()
    assert page.locator(f".st-key-{Key.FOIL} input").input_value() == " Helen"
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("History", timeout=1000 * PATIENCE)

    stranger = browser.new_context().new_page()
    stranger.goto(f"{first}/history")
    expect(stranger.get_by_text("Nothing has been looked at yet.")).to_be_visible(timeout=1000 * PATIENCE)
    stranger.context.close()
    context.close()
    assert not found


def test_an_entry_is_pinned_named_and_deleted(open_page: Open):
    page = open_page("sanity_checks")
    settle(page)
    page.locator(".st-key-page_links").get_by_role("link", name="History").click()
    expect(page.get_by_text("This visit")).to_be_visible(timeout=1000 * PATIENCE)
    page.get_by_role("button", name="Pin").click()
    expect(page.get_by_role("heading", name="Pinned")).to_be_visible()
    page.get_by_role("button", name="Name").click()
    page.get_by_test_id("stPopoverBody").get_by_label("Name").fill("All is *well*")
    page.get_by_role("button", name="Call it that").click()
    expect(page.get_by_text("All is *well*: ")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Nothing has been looked at yet.")).to_be_visible()


def test_the_link_is_copied_and_a_long_one_made_short(open_page: Open):
    words = {"clean": "The day after Monday is", "corrupted": "The day after Friday is", "answer": " Tuesday",
             "foil": " Saturday", "component": "k", "layer_norm": "exact", "selected": "L1H1 → L2H2.k",
             "metric": "answer_probability", "source_layer": "1", "source_head": "1"}  # fmt: skip
    page = open_page(f"path_patching?{urlencode(words)}")
    settle(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(f".st-key-{Key.GUIDE}_link button").first.click()
    body = page.get_by_test_id("stPopoverBody")
    body.get_by_role("button", name="Make a short link").click()
    expect(body.get_by_test_id("stCode")).to_have_count(2, timeout=1000 * PATIENCE)
    copied = []
    for number in (0, 1):
        body.get_by_test_id("stCode").nth(number).hover()
        body.locator("[aria-label='Copy to clipboard']").nth(number).click()
        copied.append(page.evaluate("navigator.clipboard.readText()"))
    whole, brief = map(urlsplit, copied)
    assert whole.query == urlsplit(page.url).query or set(whole.query.split("&")) == set(
        urlsplit(page.url).query.split("&")
    )
    assert whole.netloc == brief.netloc == urlsplit(page.url).netloc and len(copied[1]) < 100
    fresh = open_page(f"{brief.path.lstrip('/')}?{brief.query}")
    settle(fresh)
    assert urlsplit(fresh.url).query == brief.query
    assert fresh.locator(f".st-key-{Key.FOIL} input").input_value() == " Saturday"
    expect(fresh.get_by_text("Read from the store.")).to_be_visible()
