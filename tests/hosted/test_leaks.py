"""What a server for strangers gives away, and what it keeps to itself."""

from __future__ import annotations

import http.client
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser
from streamlit import config
from streamlit.testing.v1 import AppTest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from analysis import host
from analysis.jobs.job import Job
from analysis.results import AllSourcesRequest
from pages.shared import door
from pages.shared.disclosure import without_places
from pages.shared.headers import security_headers
from pages.shared.log_lines import Lines
from tests.asynchronous import run
from tests.browser.app import PATIENCE, complaints
from tests.experiments import on
from tests.pages.looking import ROOT
from tests.pages.test_door import rerun
from tests.soak.server import Server, serve

SECRET = "a prompt that nobody else reads"


@pytest.fixture(scope="module")
def server(gallery_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {
        "PATHSCOPE_HOSTED": "1",
        "PATHSCOPE_HOSTED_NAMES": "demo.example",
        "PATHSCOPE_GALLERY_DIR": str(gallery_folder),
        "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "full",
        "STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE": "true",
    }
    with serve(tmp_path_factory.mktemp("hosted"), environment) as running:
        yield running


def asked(server: Server, path: str, host: str = "localhost") -> tuple[int, dict[str, str], str]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("GET", path, headers={"Host": host})
        with connection.getresponse() as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, response.read().decode(errors="replace")


@pytest.mark.parametrize("path", ["/", "/result", "/robots.txt", "/_stcore/health", "/_stcore/metrics"])
def test_every_answer_has_the_headers(server, path):
    _, headers, _ = asked(server, path)
    assert security_headers().items() <= headers.items()


def test_other_sites_show_the_pages_only_where_the_host_says_so(monkeypatch):
    assert security_headers()["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in security_headers()["content-security-policy"]
    monkeypatch.setenv("PATHSCOPE_EMBED", "1")
    assert "x-frame-options" not in security_headers()
    assert "frame-ancestors *" in security_headers()["content-security-policy"]


def test_no_script_runs_but_this_servers(server):
    rules = dict(rule.split(" ", 1) for rule in security_headers()["content-security-policy"].split("; "))
    assert rules["default-src"] == "'self'" and "unsafe" not in rules["script-src"]


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/metrics/", "/_stcore/metrics?families=x"])
def test_there_are_no_metrics(server, path):
    assert asked(server, path)[0] == 404


def test_whether_it_lives_and_whether_it_is_ready_is_told(server):
    assert asked(server, "/_stcore/health")[::2] == (200, "ok")
    assert asked(server, "/ready")[::2] == (200, "ready")
    assert asked(server, "/ready", "10.0.0.1:8501")[0] == 200, "by any name"


def test_a_server_that_is_not_ready_says_what_is_missing(hosted, hub_cache):
    answer = run(door.ready(None))
    assert answer.status_code == 503 and b"is not ready" in answer.body
    assert str(hub_cache).encode() not in answer.body


def test_the_hosts_names_are_let_in_beside_this_machines_own(server):
    assert asked(server, "/", "demo.example")[0] == 200
    assert asked(server, "/", "evil.example")[0] == 421


def test_streamlit_shows_nothing_of_itself_whatever_its_own_settings_say(hosted, monkeypatch):
    options: dict[str, object] = {"server.allowedHosts": ["localhost"]}
    monkeypatch.setattr(config, "set_option", options.__setitem__)
    monkeypatch.setattr(config, "get_option", options.__getitem__)
    monkeypatch.setattr(door, "begin_lines", lambda: None)
    monkeypatch.setattr(host, "begin_serving", lambda: None)
    monkeypatch.setattr(door.secrets_singleton, "load_if_toml_exists", lambda: False)
    monkeypatch.setenv("PATHSCOPE_HOSTED_NAMES", "a.example, b.example")
    door.check_settings()
    assert options["client.showErrorDetails"] == "none" and options["client.toolbarMode"] == "viewer"
    assert options["server.allowedHosts"] == ["localhost", "a.example", "b.example"]


def test_the_log_is_lines_of_json_without_prompts(server):
    with connect(f"ws://127.0.0.1:{server.port}/_stcore/stream") as visitor:
        visitor.send(b"\xff\xff no message")
        with pytest.raises(ConnectionClosed):
            visitor.recv(timeout=30)
    with connect(f"ws://127.0.0.1:{server.port}/_stcore/stream") as visitor:
        visitor.send(rerun(f"clean={quote(SECRET)}&model={quote('/etc/passwd')}"))
        visitor.recv()
    log = server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(line["level"] == "WARNING" for line in lines)
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert SECRET not in log and "passwd" not in log and str(ROOT) not in log


def test_of_an_error_the_log_tells_class_and_place_alone():
    try:
        raise ValueError(SECRET)
    except ValueError:
        record = logging.LogRecord("library", 40, "f", 1, "failed for %s", (SECRET,), sys.exc_info())
    told = json.loads(Lines().format(record))
    assert (told["error"], told["message"]) == ("ValueError", "failed for %s")
    assert told["at"][-1].startswith("test_leaks.py:") and SECRET not in json.dumps(told)
    own = logging.LogRecord("analysis.settings.reading", 30, "f", 1, "%s is no setting", ("X",), None)
    assert json.loads(Lines().format(own))["message"] == "X is no setting"


def test_sentences_lose_the_servers_places(hosted, monkeypatch, tmp_path):
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", "/srv/pathscope/store")
    said = f"The file '{ROOT}/analysis/x.py' and /srv/pathscope/store/v1 cannot be read: a/b is 1/2."
    shown = "The file 'a place on the server' and a place on the server cannot be read: a/b is 1/2."
    assert without_places(said) == shown
    monkeypatch.delenv("PATHSCOPE_HOSTED")
    assert without_places(said) == said


def test_a_failed_job_says_no_more_than_the_kind_of_error(hosted):
    job = Job(AllSourcesRequest(on("demo")))
    job.fail(RuntimeError(f"cannot open /srv/secret for {SECRET}"))
    assert str(job.snapshot().error).startswith("The sweep failed: RuntimeError. Run it again")


def test_a_store_that_cannot_be_used_is_no_visitors_business(
    hosted, gallery_folder, monkeypatch, tmp_path, visit: Callable[..., AppTest]
):
    (tmp_path / "file").write_text("here is no folder")
    monkeypatch.setenv("PATHSCOPE_GALLERY_DIR", str(gallery_folder))
    monkeypatch.setenv("PATHSCOPE_STORE_DIR", str(tmp_path / "file" / "store"))
    app = visit("result")
    assert not app.exception
    assert all("store" not in text.value and str(tmp_path) not in text.value for text in app.text)


@pytest.mark.browser
def test_every_page_works_under_the_content_policy(server, browser: Browser):
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    found = complaints(page)
    page.goto(f"http://localhost:{server.port}/")
    page.get_by_role("heading", name="Gallery").wait_for(timeout=1000 * PATIENCE)
    for title in ("Result", "Direct logit attribution", "Path patching", "All sources", "Circuit"):
        page.locator(".st-key-page_links").get_by_role("link", name=title).click()
        page.get_by_role("heading", name=title, level=1).wait_for(timeout=1000 * PATIENCE)
        page.get_by_text("Where these numbers come from").wait_for(timeout=1000 * PATIENCE)
        page.wait_for_selector("[data-test-script-state='notRunning']", timeout=1000 * PATIENCE)
        assert page.locator("svg, canvas").count() > 0
    assert page.get_by_text("About this demo").count() == 1
    page.context.close()
    assert found == []
