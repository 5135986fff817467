"""Pages under AppTest, on the bundled model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

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
