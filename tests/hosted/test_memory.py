"""The whole app, held to the memory that a small host gives: by its budget, and by the kernel if it can."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.app import PAGES, PATIENCE, settle
from tests.soak.group import limited, possible
from tests.soak.server import serve

#: Megabytes (10^6 bytes).
LIMIT = 560

CHART = "[data-testid='stVegaLiteChart']"
#: The gallery, and the sanity checks, which are a table.
WITHOUT_CHART = ("", "sanity_checks")


def test_all_pages_with_the_bundled_model_live_within_the_limit(tmp_path: Path, browser: Browser):
    with (
        limited(LIMIT) if possible() else nullcontext() as group,
        serve(tmp_path, {"PATHSCOPE_HOSTED": "1", "PATHSCOPE_MEMORY_BYTES": f"{LIMIT}MB"}, group) as server,
    ):
        page = browser.new_page()
        for path in PAGES:
            page.goto(f"http://127.0.0.1:{server.port}/{path}")
            shown = "[data-testid='stExpander']" if path in WITHOUT_CHART else CHART
            page.wait_for_selector(shown, timeout=1000 * PATIENCE)
            settle(page)
        assert server.own_bytes() < 1e6 * LIMIT
        assert group is None or group.ended() == 0
