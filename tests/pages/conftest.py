"""Pages under AppTest, on the bundled model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.looking import See, captions
from tests.pages.stored_results import keep_defaults

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def visit() -> Callable[..., AppTest]:
    """Opens a page by its file's name, as a link with the given parameters would."""

    def visit(page: str, **parameters: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=180)
        for name, value in parameters.items():
            app.query_params[name] = value
        app.switch_page(f"pages/{page}.py")
        return app.run()

    return visit


@pytest.fixture
def see(visit: Callable[..., AppTest], own_store: None) -> See:
    """Pages that find results made by hand in their store, and compute nothing."""
    keep_defaults()

    def see(page: str, **chosen: object) -> AppTest:
        app = visit(page, source_layer="0", source_head="3")
        for key, value in chosen.items():
            app.session_state[key] = value
        app.run()
        assert not app.exception
        assert "Read from the store." in captions(app)
        return app

    return see
