"""Fetching from the Hub: what it says of itself is asked first, and bounded, and nobody waits for ever."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from analysis import models
from analysis.errors import ModelError
from analysis.models import fetching
from analysis.models import hub as client
from tests.models.hub import NAME, Hub

ROOT = Path(__file__).resolve().parent.parent.parent


ENDS_WHILE_IT_DOWNLOADS = """
import threading
from analysis.models import find, hub
begun, Popen = threading.Event(), hub.subprocess.Popen
def begin(*arguments, **options):
    process = Popen(*arguments, **options)
    begun.set()
    return process
hub.subprocess.Popen = begin
hub._LISTED_SECONDS = 600
threading.Thread(target=find, args=("pathscope/tiny",)).start()
begun.wait()
"""


@pytest.fixture
def silent(hub: type[Hub]) -> Iterator[type[Hub]]:
    """A Hub that takes every question and answers none until the test ends."""
    hub.open_again = threading.Event()
    yield hub
    hub.open_again.set()


def kept(cache: Path) -> list[str]:
    return [path.name for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("setting", "sent"), [(None, False), ("0", False), ("1", True)])
def test_the_login_is_sent_only_where_the_setting_says_so(
    setting: str | None, sent: bool, hub: type[Hub], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.delenv("PATHSCOPE_HUB_TOKEN", raising=False)
    if setting is not None:
        monkeypatch.setenv("PATHSCOPE_HUB_TOKEN", setting)
    models.fingerprint(NAME)
    # A request that the Hub passes on to its store of files goes without.
    assert ("Bearer hf_secret" in hub.logins) == sent
    assert hub.logins <= {"Bearer hf_secret", None}


def test_a_model_larger_than_the_bound_is_not_begun(hub: type[Hub], hub_cache: Path):
    hub.stated = {"model.safetensors": 45 * 1024**3}
    with pytest.raises(
        ModelError,
        match=r"has 48,\d{3},\d{3},\d{3} bytes .* at most 17,179,869,184 are fetched.*DOWNLOAD_BYTES",
    ):
        models.fingerprint(NAME)
    assert not hub.downloads and not kept(hub_cache)


def test_the_bound_is_a_setting(hub: type[Hub], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATHSCOPE_DOWNLOAD_BYTES", "1000")
    with pytest.raises(ModelError, match="at most 1,000 are fetched"):
        models.fingerprint(NAME)
    assert not hub.downloads


def test_a_model_of_more_files_than_any_has_is_not_begun(hub: type[Hub], hub_cache: Path):
    hub.stated = {f"model-{number}.safetensors": 1 for number in range(2000)}
    with pytest.raises(ModelError, match=r"consists of 2,0\d\d files .* at most 1,000 are fetched"):
        models.fingerprint(NAME)
    assert not hub.downloads and not kept(hub_cache)


def test_what_does_not_fit_on_the_disk_is_not_begun(
    hub: type[Hub], hub_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    class Full:
        free = 5000

    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda place: Full)
    with pytest.raises(ModelError, match=r"has \d+,\d{3} bytes .* and 5,000 are free .*HF_HOME"):
        fetching.fetch(NAME, ["*.safetensors"], str(hub_cache), 10**9, False)
    assert not hub.downloads and not kept(hub_cache)


def test_a_hub_that_sends_more_than_it_says_is_cut_off(hub: type[Hub], hub_cache: Path, folder: Path):
    (folder / "config.json").write_bytes(b" " * 64 * 1024**2)
    hub.stated = {"config.json": 10, "model.safetensors": 10}
    with pytest.raises(ModelError, match="could not be downloaded"):
        models.fingerprint(NAME)
    assert max(path.stat().st_size for path in hub_cache.rglob("*")) < 20 * 1024**2


@pytest.mark.usefixtures("silent")
def test_a_hub_that_never_answers_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "_LISTED_SECONDS", 1)
    with pytest.raises(ModelError, match="the Hugging Face Hub cannot be reached"):
        models.fingerprint(NAME)


@pytest.mark.usefixtures("silent")
def test_a_download_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATHSCOPE_DOWNLOAD_SECONDS", "1")
    with pytest.raises(ModelError, match=r"not downloaded after 1 s.*Try again.*PATHSCOPE_DOWNLOAD_SECONDS"):
        models.fingerprint(NAME)


def test_a_download_that_broke_off_is_no_model_yet(hub: type[Hub], hub_cache: Path, folder: Path):
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights + bytes(64 * 1024**2))
    hub.stated = {"model.safetensors": 10}
    with pytest.raises(ModelError, match="could not be downloaded"):
        models.fingerprint(NAME)
    with pytest.raises(ModelError, match="is not downloaded yet"):
        models.find(NAME, download=False)
    (folder / "model.safetensors").write_bytes(weights)
    hub.stated = {}
    shutil.rmtree(hub_cache / "models--pathscope--tiny" / "trees")  # another commit has another list
    assert models.fingerprint(NAME) == models.fingerprint(str(folder))


@pytest.mark.usefixtures("silent")
def test_a_server_that_ends_waits_for_no_download(hub_cache: Path):
    code = ENDS_WHILE_IT_DOWNLOADS
    environment = os.environ | {
        "HF_ENDPOINT": huggingface_hub.constants.ENDPOINT,
        "HF_HUB_CACHE": str(hub_cache),
        "HF_HUB_OFFLINE": "0",
    }
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert "the download was ended" in run.stderr


def test_a_process_that_fetches_ends_with_whoever_started_it(silent: type[Hub], hub_cache: Path):
    environment = os.environ | {"HF_ENDPOINT": huggingface_hub.constants.ENDPOINT, "HF_HUB_OFFLINE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "analysis.models.fetching"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(
        b'{"name": "pathscope/tiny", "wanted": [], "cache": "/", "most_bytes": 1, "with_token": false}\n'
    )
    process.stdin.close()
    assert process.wait(timeout=60) == 1
