"""A prompt set that somebody uploads, in a real browser: what agrees over it is what its numbers say."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from analysis.sets import READY_KINDS
from pages.shared.keys import Key
from tests.browser.app import PATIENCE, choose, settle, take_along

pytestmark = pytest.mark.browser
Open = Callable[..., Page]
TABLE = b"""clean,corrupted,answer,foil
The day after Monday is,The day after Friday is, Tuesday, Saturday
The day after Sunday is,The day after Sunday is, Monday, Monday
The day after Sunday is,The day after Friday is, Monday, Saturday
The day after Tuesday is,The day after Saturday is, Wednesday, Sunday
"""


def computed(page: Page) -> None:
    """Wait until every prompt is computed."""
    settle(page)
    page.wait_for_selector("[data-testid='stProgress']", state="detached", timeout=1000 * PATIENCE)
    settle(page)


def downloaded(page: Page, file: str) -> str:
    take_along(page, file.partition(".")[0])
    with page.expect_download() as download:
        page.locator(f"[class*='st-key-download_{file.replace('.', '-')}']").get_by_role("button").click()
    # Streamlit disables the button while its file is made: the focus is lost, and Escape with it.
    page.get_by_test_id("stDialog").get_by_role("button", name="Close").click()
    page.get_by_test_id("stDialog").wait_for(state="detached")
    return download.value.path().read_text()


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_with_a_broken_row_is_uploaded_and_its_agreement_is_that_of_its_numbers(open_page: Open):
    page = open_page("prompt_set?set=pair")
    computed(page)
    page.get_by_text("Your own prompts").click()
    page.get_by_role("tab", name="Upload a table").click()
    page.locator(f".st-key-{Key.SET_FILE} input").set_input_files(
        {"name": "days.csv", "mimeType": "text/csv", "buffer": TABLE}
    )
    expect(page.get_by_text("Row 2 is left out: clean and corrupted are the same.")).to_be_visible()
    page.get_by_role("button", name="Use 3 pairs").click()
    page.wait_for_function("decodeURIComponent(location.search).includes('Tuesday')")
    computed(page)
    expect(page.get_by_text("It differs in the same direction in 3 of 3.")).to_be_visible()

    paths = rows(downloaded(page, "paths_over_prompts.csv"))
    assert len(paths) >= 10
    for path in paths:
        effects = np.array([float(path[f"prompt_{number}"]) for number in (1, 2, 3)])
        assert float(path["mean"]) == pytest.approx(effects.mean(), abs=1e-9)
        assert float(path["standard_error"]) == pytest.approx(effects.std(ddof=1) / 3**0.5, abs=1e-9)
        same = int((np.sign(effects) == np.sign(effects.mean())).sum())
        assert int(path["same_sign"]) <= same <= int(path["same_sign"]) + int((abs(effects) < 1e-3).sum())
        robust = int(path["same_sign"]) == 3 and int(path["strongest"]) >= 2
        assert path["robust"] == str(robust)
    assert sum(int(path["strongest"]) for path in paths) == 30, "ten paths lead in each prompt"
    origin = json.loads(downloaded(page, "paths_over_prompts.json"))["origin"]
    assert [pair[2] for pair in json.loads(origin["prompts"])] == [" Tuesday", " Monday", " Wednesday"]

    fresh = open_page(f"prompt_set?{urlsplit(page.url).query}")
    computed(fresh)
    assert rows(downloaded(fresh, "paths_over_prompts.csv")) == paths


def test_a_circuit_over_the_set_leaves_as_the_ratio_that_the_page_tells(open_page: Open):
    page = open_page("circuit?set=drinks-3&edges=10")
    page.locator(f".st-key-{Key.SET_OVER}_button button").click(timeout=1000 * PATIENCE)
    page.get_by_text("Over 3 prompts these 10 paths bring back").wait_for(timeout=1000 * PATIENCE)
    computed(page)
    *each, of_all = rows(downloaded(page, "circuit_over_prompts.csv"))
    assert of_all["prompt"] == "all" and len(each) == 3
    differences = np.array([float(row["difference"]) for row in each])
    for score in ("brings_back", "breaks", "faithfulness"):
        shares = np.array([float(row[score]) for row in each])
        ratio = float((shares * differences).sum() / differences.sum())
        assert float(of_all[score]) == pytest.approx(ratio, abs=1e-9)
        expect(page.get_by_text(f"{100 * ratio:.0f} %").first).to_be_visible()
    share = 100 * float(of_all["brings_back"])
    expect(page.get_by_text(f"Over 3 prompts these 10 paths bring back {share:.0f} %")).to_be_visible()


def test_what_a_page_tells_over_the_set_stays_when_another_node_is_selected(open_page: Open):
    page = open_page("direct_logit_attribution")
    expect(page.get_by_text("This is one prompt: whether")).to_be_visible(timeout=1000 * PATIENCE)
    page.get_by_role("button", name="Over 5 prompts of this kind").click()
    page.get_by_text("Over 5 prompts L3 MLP writes").wait_for(timeout=1000 * PATIENCE)
    assert "set=drinks-5" in page.url
    settle(page)
    choose(page, Key.NODE_LIST, "L2H5")
    page.get_by_text("Over 5 prompts L2H5 writes").wait_for(timeout=1000 * PATIENCE)


def test_five_of_the_same_kind_are_one_choice_away_and_in_the_address(open_page: Open):
    page = open_page("prompt_set?set=pair")
    computed(page)
    expect(page.get_by_text("This is one prompt")).to_be_visible()
    title = READY_KINDS["months"].example.title
    choose(page, Key.SET_KIND, f"Same kind: {title}")
    page.wait_for_function("location.search.includes('set=months-5')")
    computed(page)
    expect(page.get_by_text("It differs in the same direction in 5 of 5.")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("This is one prompt")).to_be_visible(timeout=1000 * PATIENCE)
