"""The recipes: what they set and run serves the app in a plain environment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.app import PATIENCE, complaints, free_port, wait_until_healthy
from tests.pages.looking import ROOT
from tests.soak.server import START

RECIPES = ROOT / ".streamlit" / "deploy"
DOCKERFILE = (RECIPES / "Dockerfile").read_text()


def settings_of_the_image(app: Path, tmp: Path) -> dict[str, str]:
    """What the Dockerfile sets, with `app` and `tmp` for its folders; its build has no other models."""
    pairs = (
        line.removeprefix("ENV ").split("=", 1) for line in DOCKERFILE.splitlines() if line[:4] == "ENV "
    )
    return {
        name: value.replace("$MODELS", "").replace("/app", str(app)).replace("/tmp", str(tmp))
        for name, value in pairs
    }


def command_of_the_image(port: int) -> list[str]:
    [line] = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    _, *arguments = json.loads(line)
    return [sys.executable, *(argument.replace("8501", str(port)) for argument in arguments)]


@pytest.mark.browser
def test_what_the_image_runs_serves_the_gallery_and_a_result(gallery_folder, tmp_path, browser: Browser):
    (tmp_path / "tmp").write_text("no folder: nothing can be written here")
    environment = settings_of_the_image(tmp_path, tmp_path / "tmp") | {
        "PATHSCOPE_GALLERY_DIR": str(gallery_folder),
        "PATH": "/usr/bin:/bin",
    }
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            command_of_the_image(port), cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_until_healthy(server, f"http://127.0.0.1:{port}/ready")
            page = browser.new_context().new_page()
            found = complaints(page)
            page.goto(f"http://127.0.0.1:{port}/")
            page.get_by_role("heading", name="Gallery").wait_for(timeout=1000 * PATIENCE)
            page.get_by_test_id("stMain").get_by_role("link", name="Result").first.click()
            page.get_by_role("heading", name="Result", level=1).wait_for(timeout=1000 * PATIENCE)
            page.get_by_text("Read from the store.").wait_for(timeout=1000 * PATIENCE)
            page.context.close()
        finally:
            server.terminate()
            server.wait(timeout=20)
    assert found == []
    for line in (tmp_path / "log").read_text().splitlines():
        assert json.loads(line)["level"] in ("INFO", "WARNING"), line


def test_what_the_image_copies_and_runs_is_there():
    for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE):
        assert (ROOT / line).exists()
    modules = re.findall(r"python -m (\S+)", DOCKERFILE)
    assert modules == ["analysis.host", "analysis.warm"]
    assert "\nUSER 1000\n" in DOCKERFILE and "HEALTHCHECK" in DOCKERFILE and "/ready" in DOCKERFILE
    ignored = (RECIPES / "Dockerfile.dockerignore").read_text().split()
    copied = {
        source for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()
    }
    assert copied == {line[1:] for line in ignored if line[0] == "!"}


def test_the_processor_build_of_torch_is_asked_for_beside_the_pinned_releases():
    lines = (RECIPES / "requirements-cpu.txt").read_text().splitlines()
    assert "-r ../../requirements.txt" in lines
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in lines
    assert "torch==" in (ROOT / "requirements.txt").read_text()


def test_the_settings_that_the_recipes_name_are_settings():
    from analysis.settings import Settings

    known = {field.alias for field in Settings.model_fields.values()}
    told = set(re.findall(r"PATHSCOPE_[A-Z_]+", DOCKERFILE + (RECIPES / "README.md").read_text()))
    assert told <= known and len(told) > 5


def test_a_secret_is_a_setting(tmp_path):
    """As Streamlit Community Cloud has it: nothing but a file of secrets beside the app."""
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('PATHSCOPE_HOSTED = "1"\nPATHSCOPE_HOSTED_MODELS = "../no/id"\n')
    command = [*START, "--server.port=0"]
    ended = subprocess.run(
        [*command, "--secrets.files", str(secrets)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert "PATHSCOPE_HOSTED_MODELS is '../no/id', and must be plain names" in ended.stderr
