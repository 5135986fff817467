"""The tasks of a person, from an answer to a finding one can tell: on the bundled model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from analysis.answers import answer
from analysis.demo_model.examples import EXAMPLES
from analysis.models import DEMO
from analysis.requests import Experiment
from analysis.results import NodeAttributionRequest, NodeRequest
from pages.shared.keys import Key
from tests.browser import tasks
from tests.browser.app import PAGES, ROOT
from tests.browser.test_back import arrived, steady

pytestmark = pytest.mark.browser
Open = Callable[..., Page]

_EXAMPLE = EXAMPLES[0]
FIRST = Experiment(DEMO, _EXAMPLE.clean, _EXAMPLE.corrupted, _EXAMPLE.answer, _EXAMPLE.foil)


def path_of(title: str) -> str:
    return next(path for path, name in PAGES.items() if name == title)


def test_from_the_answer_to_the_head_that_writes_it_and_why_and_back_at_every_step(open_page: Open):
    page = open_page()
    tasks.arrive(page, "Result")
    stops = [("Result", steady(page), page.url)]
    tasks.follow(page, "Which component wrote the answer", "Direct logit attribution")
    stops.append(("Direct logit attribution", steady(page), page.url))
    head = tasks.strongest_head(page)
    attends = tasks.why_it_attends(page, head)
    stops.append(("Direct logit attribution", steady(page), page.url))

    nodes = answer(NodeAttributionRequest(FIRST)).result.table("clean", -1)
    heads = nodes[nodes["node"].str.fullmatch(r"L\d+H\d+")]
    assert head == heads.loc[heads["attribution"].idxmax(), "node"]
    near = answer(NodeRequest(FIRST, head, None, "logit_difference")).result
    last = near.pattern("clean")[-1]
    assert attends.position == int(np.argmax(last))
    assert attends.token == "·" + near.clean_tokens[attends.position].strip()

    tasks.go_to(page, "All sources")
    stops.append(("All sources", steady(page), page.url))
    tasks.go_to(page, "Prompt set")
    for title, shown, address in reversed(stops):
        page.go_back()
        arrived(page, path_of(title), shown)
        assert page.url == address
    page.go_forward()
    arrived(page, "direct_logit_attribution", stops[1][1])


def test_the_strongest_path_of_all_and_whether_five_prompts_agree(open_page: Open):
    page = open_page("all_sources")
    tasks.arrive(page, "All sources")
    path, _ = tasks.strongest_path(page)
    tasks.go_to(page, "Prompt set")
    assert tasks.robust_path(page) == (path, 5, 5)


def test_what_is_shared_says_the_same_in_a_fresh_browser(open_page: Open):
    page = open_page("all_sources?foil=+Helen&metric=answer_log_probability")
    tasks.arrive(page, "All sources")
    page.locator(f".st-key-{Key.LAYER_NORM}").get_by_text("Exact", exact=True).click()
    page.wait_for_function("location.search.includes('layer_norm=exact')")
    tasks.arrive(page, "All sources")
    said = tasks.said(page)
    assert "nats" in said
    fresh = open_page(page.url.split("/", 3)[3])
    tasks.arrive(fresh, "All sources")
    assert tasks.said(fresh) == said


def test_what_is_taken_to_a_notebook_runs_and_says_the_same_number(open_page: Open, tmp_path: Path):
    page = open_page("all_sources")
    tasks.arrive(page, "All sources")
    path, effect = tasks.strongest_path(page)
    script = tasks.script_of(page, "strongest_paths")
    (tmp_path / "asked.py").write_text(script)
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "asked.py")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATHSCOPE_STORE_DIR": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        check=True,
    )
    heading, first, *_ = [
        line for line in ran.stdout.splitlines() if "source" in line or re.match(r"0\s", line)
    ]
    row = dict(zip(heading.split(), first.split()[1:], strict=True))
    assert f"{row['source']} → {row['destination']}.{row['component']}" == path
    assert float(row["effect"]) == pytest.approx(effect, abs=5e-4)
