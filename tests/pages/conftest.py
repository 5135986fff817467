"""Pages under AppTest, on the bundled model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from analysis.jobs import board
from tests.pages import looking
from tests.pages.looking import See, captions
from tests.pages.stored_results import keep_defaults


@pytest.fixture
def visit() -> Callable[..., AppTest]:
    """Opens a page; see `tests.pages.looking.visit`."""
    return looking.visit


@pytest.fixture
def own_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A board of jobs for one test alone: what others have asked for of the same experiment is not on it."""
    own = board._Board()
    monkeypatch.setattr(board, "_board", own)
    yield
    own.stop_all()
    own.close()


@pytest.fixture
def see(visit: Callable[..., AppTest], own_store: None) -> See:
    """Pages that find results made by hand in their store, and compute nothing."""
    keep_defaults()

    def see(page: str, **chosen: object) -> AppTest:
        app = visit(page, source_layer="0", source_head="3", unit="component")
        for key, value in chosen.items():
            app.session_state[key] = value
        app.run()
        assert not app.exception
        assert "Read from the store." in captions(app)
        return app

    return see
