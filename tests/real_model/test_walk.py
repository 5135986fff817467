"""The tasks of a person on the real model, in a browser: from the answer to what can be told and shared."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from tests.browser import tasks
from tests.browser.app import complaints, served
from tests.real_model.conftest import RealModel


@pytest.mark.browser
def test_who_writes_the_answer_whom_it_is_told_by_and_what_a_link_shows(
    real_model: RealModel, browser: Browser, tmp_path: Path
):
    """The head that writes most for the answer reads who gives, and tells a head of the last layer most."""
    asked = urlencode(asdict(real_model.experiment))
    with served(tmp_path) as address:
        page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        found = complaints(page)
        page.goto(f"{address}/direct_logit_attribution?{asked}")
        tasks.arrive(page, "Direct logit attribution")
        head = tasks.strongest_head(page)
        attends = tasks.why_it_attends(page, head)
        pattern = real_model.runs.clean_cache["blocks.23.attn.hook_pattern"][0, 3, -1]
        assert (head, attends.position, attends.token) == ("L23H3", int(pattern.argmax()), "·John")
        tasks.go_to(page, "All sources")
        path, effect = tasks.strongest_path(page)
        assert path == "L23H3 → L29H1.v"
        assert effect > 1.0

        fresh = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        fresh.goto(page.url)
        tasks.arrive(fresh, "All sources")
        assert tasks.strongest_path(fresh) == (path, effect)
        page.go_back()
        tasks.arrive(page, "Direct logit attribution")
        assert page.locator(".st-key-node_from_near h2").inner_text() == head
        for one in (page, fresh):
            one.context.close()
    assert not found
