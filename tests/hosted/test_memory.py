"""The whole app, held to the memory that a small host gives: by its own budget, and by the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.app import PAGES, PATIENCE, chromium, settle
from tests.soak.group import limited, possible
from tests.soak.server import serve

#: Megabytes (10^6 bytes).
LIMIT = 560

CHART = "[data-testid='stVegaLiteChart']"
#: The gallery, and the sanity checks, which are a table.
WITHOUT_CHART = ("", "sanity_checks")


@pytest.mark.skipif(not possible(), reason="no control group can be made here")
def test_all_pages_with_the_bundled_model_live_within_the_limit(tmp_path: Path):
    with (
        limited(LIMIT) as group,
        chromium() as browser,
        serve(tmp_path, {"PATHSCOPE_HOSTED": "1", "PATHSCOPE_MEMORY_BYTES": f"{LIMIT}MB"}, group) as server,
    ):
        page = browser.new_page()
        for path in PAGES:
            page.goto(f"http://127.0.0.1:{server.port}/{path}")
            page.wait_for_selector("[data-testid='stExpander']", timeout=1000 * PATIENCE)
            settle(page)
            drawn = page.locator(CHART).count() > 0
            assert drawn or path in WITHOUT_CHART, path
        assert group.ended() == 0
