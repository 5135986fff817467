"""A model that is fetched in the background: how far it is, that it can be stopped, and that it goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from analysis import models
from analysis.models import Download, download_of, forget_download
from tests.models.hub import NAME, Hub

SECONDS = 60


def begun(name: str = NAME) -> Download:
    download = download_of(name)
    assert download is not None
    end = time.monotonic() + SECONDS
    while download.bytes_so_far()[1] is None or not download.bytes_so_far()[0]:
        assert time.monotonic() < end and download.error is None
        time.sleep(0.05)
    return download


def test_how_much_there_is_and_how_much_has_come_is_known_while_it_comes(held: type[Hub], folder: Path):
    download = begun()
    came, total = download.bytes_so_far()
    wanted = [path for path in folder.iterdir() if path.name != "generation_config.json"]
    assert total == sum(path.stat().st_size for path in wanted)
    assert 0 < came < total
    assert download_of(f" {NAME} ") is download, "one download, whoever asks"

    held.go_on()
    assert download.wait(SECONDS)
    assert download.error is None
    assert download_of(NAME) is None, "it is here"
    assert models.find(NAME, download=False).weights


def test_one_that_is_stopped_ends_at_once_and_goes_on_when_asked_again(held: type[Hub]):
    download = begun()
    download.stop()
    assert download.wait(SECONDS)
    assert "was stopped. What has come is kept" in str(download.error)
    assert download_of(NAME) is download, "nothing begins it again but a person"

    held.go_on()
    forget_download(NAME)
    again = download_of(NAME)
    assert again is not None and again is not download
    assert again.wait(SECONDS)
    assert again.error is None


@pytest.mark.parametrize("name", ["demo", "", "no such / name", "/nowhere"])
def test_what_cannot_be_fetched_has_no_download(name: str, hub: type[Hub]):
    assert download_of(name) is None
    assert not hub.downloads


def test_where_the_policy_names_the_models_none_is_fetched(hub: type[Hub], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATHSCOPE_HOSTED", "1")
    assert download_of(NAME) is None
    assert not hub.downloads


def test_a_name_that_the_hub_does_not_know_is_its_error(hub: type[Hub]):
    download = download_of("pathscope/nothing")
    assert download is not None
    assert download.wait(SECONDS)
    assert "has no model 'pathscope/nothing'" in str(download.error)
    forget_download("pathscope/nothing")
