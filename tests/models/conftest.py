"""A stand-in for the Hugging Face Hub, and a cache of its own for each test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import pytest

from analysis.models import forget_download
from tests.models.hub import NAME, Hub


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def hub(folder: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """The Hub, online, with the model ``pathscope/tiny``."""
    handler = type("OneModelHub", (Hub,), {"folder": folder, "stated": {}, "logins": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    template = f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def held(hub: type[Hub]) -> Iterator[type[Hub]]:
    """A Hub that stops in the middle of the weights until it is told to go on."""
    hub.goes_on = threading.Event()
    yield hub
    hub.go_on()
    forget_download(NAME)
