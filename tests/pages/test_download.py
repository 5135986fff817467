"""A model that comes from the Hub first: the page says how far it is, and it can be stopped there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from analysis.models import CatalogueEntry, download_of, entries
from pages.shared.keys import Key
from tests.models.conftest import held, hub, hub_cache
from tests.models.hub import NAME, Hub
from tests.pages.looking import texts

__all__ = ["held", "hub", "hub_cache"]  # fixtures of another folder

SECONDS = 60


def test_a_page_says_that_a_model_comes_and_lets_it_be_stopped(
    held: type[Hub], visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
):
    # Under AppTest a box of names cannot hold one that it does not offer.
    entry = CatalogueEntry(NAME, "Tiny", "A model for tests.", 1, 1)
    monkeypatch.setattr("analysis.models.catalogue.entries", lambda: (*entries(), entry))
    app = visit("result", model=NAME)
    assert not app.exception
    (progress,) = app.get("progress")
    assert "pathscope/tiny comes from the Hugging Face Hub" in progress.proto.text.replace("\\", "")
    assert app.text_area(key=Key.CLEAN).value, "the fields can be filled in meanwhile"

    app.button(key=Key.STOP_FETCHING).click().run()
    download = download_of(NAME)
    assert download is not None and download.wait(SECONDS)
    app.run()
    assert not app.exception
    assert not app.get("progress")
    assert "was stopped. What has come is kept" in texts(app)

    held.go_on()
    app.button(key=Key.FETCH).click().run()
    download = download_of(NAME)
    assert download is None or download.wait(SECONDS)
    app.run()
    assert not app.exception
    assert "was stopped" not in texts(app)
    assert app.title[0].value == "Result"


def test_a_name_that_is_wrong_is_said_where_it_always_was(hub: type[Hub], visit: Callable[..., AppTest]):
    app = visit("result", model="pathscope/nothing")
    assert not app.exception
    assert app.title[0].value == "Result"
    assert "has no model 'pathscope/nothing'" in texts(app)
    assert not app.get("progress")
