"""The running app and a Chromium to look at it with."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]

#: Seconds for whatever loads torch and the bundled model on busy cores.
PATIENCE = 120

PAGES = {
    "": "Result",
    "direct_logit_attribution": "Direct logit attribution",
    "path_patching": "Path patching",
    "all_sources": "All sources",
    "circuit": "Circuit",
    "prompt_set": "Prompt set",
    "compare": "Compare",
    "sanity_checks": "Sanity checks",
}

# Below a page's path the client first asks here, is refused, and goes on to ask at the root.
_ASKED_BELOW_A_PAGE = re.compile(r"/[a-z_]+/_stcore/(health|host-config)$")


@contextmanager
def served(store: Path, script: Path = ROOT / "app.py") -> Iterator[str]:
    """The app, or another `script`, on a free port with its own store; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless=true"]
    server = subprocess.Popen(
        [*command, "--server.address=127.0.0.1", f"--server.port={port}"],
        cwd=ROOT,
        env=os.environ | {"PATHSCOPE_STORE_DIR": str(store)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_healthy(server, f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_healthy(server: subprocess.Popen[bytes], address: str) -> None:
    """Wait until `address` answers; raises `RuntimeError` where the server has ended, or takes too long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start; its exit status is {server.poll()}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; raises `FileNotFoundError` where there is none."""
    executable = shutil.which("chromium")
    if executable is None:
        raise FileNotFoundError("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


def settle(page: Page) -> None:
    """Wait until the page stands still: connected, its script ended with provenance or an error card."""
    page.wait_for_selector(
        "[data-testid='stApp'][data-test-connection-state='CONNECTED']", timeout=1000 * PATIENCE
    )
    page.wait_for_selector(
        "[data-testid='stExpander'], [data-testid='stException'], .st-key-error_card", timeout=1000 * PATIENCE
    )
    page.wait_for_selector(
        "[data-testid='stApp'][data-test-script-state='notRunning']", timeout=1000 * PATIENCE
    )
    page.wait_for_selector("[data-testid='stSkeleton']", state="detached", timeout=1000 * PATIENCE)


def take_along(page: Page, name: str = "") -> None:
    """Open the menu by which a result leaves: that whose files begin with `name`, else the page's first."""
    menu = page.locator(f"[class*='st-key-take_{name}'] button").filter(has_text="Take along").first
    menu.click()
    page.get_by_role("button", name="HTML").first.wait_for()


def choose(page: Page, key: str, title: str) -> None:
    """Choose `title` in the list `key`: typed, because a long list holds only the rows that are near."""
    page.locator(f".st-key-{key} input").click()
    page.keyboard.type(title)
    page.get_by_role("option", name=title, exact=True).click()


def complaints(page: Page) -> list[str]:
    """What goes wrong on `page` from now on: console errors, failed and refused requests, other hosts."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(f"exception: {error}"))
    page.on("console", lambda message: _console(found, message.type, message.text, message.location))
    page.on("request", lambda request: _host(found, request.url))
    page.on("response", lambda response: _status(found, response.status, response.url))
    return found


def _console(found: list[str], kind: str, text: str, location: Mapping[str, object]) -> None:
    if kind == "error" and not _ASKED_BELOW_A_PAGE.search(str(location.get("url"))):
        found.append(f"console: {text} ({location.get('url')})")


def _host(found: list[str], url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in ("127.0.0.1", "localhost"):
        found.append(f"request to another host: {url}")


def _status(found: list[str], status: int, url: str) -> None:
    if status >= 400 and not _ASKED_BELOW_A_PAGE.search(url):
        found.append(f"status {status}: {url}")
