"""Hostile visitors raise nothing, learn nothing, and keep nobody from reading what is stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hosted.conftest import FIRST_EXAMPLE
from tests.soak.hosted import Gallery, Report, visited
from tests.soak.hostile import ATTACKS
from tests.soak.session import Record


@pytest.fixture(scope="module")
def report(gallery_folder: Path) -> Report:
    gallery = Gallery(gallery_folder, FIRST_EXAMPLE + 1, reading=(0, 5))
    # In a thread of its own, because the browser tests leave an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(visited, 0.4, 3, len(ATTACKS), gallery).result()


def test_every_kind_of_attack_is_made_and_withstood(report):
    assert {f"hostile: {attack.__name__}" for attack in ATTACKS} <= report.counts.keys()
    assert (report.exceptions, report.tracebacks) == ([], 0)
    assert report.sound and report.pages >= 3
    assert report.counts["charts drawn"] > 0


def test_what_a_server_may_not_tell_is_noticed():
    record = Record(secrets=("root:x:0",))
    record.see_text("nobody:x:99")
    assert not record.exceptions
    record.see_text("root:x:0:0:root:/root")
    assert record.exceptions == ["the server told 'root:x:0'"]


def test_a_report_with_a_fault_is_not_sound(report):
    for fault in ({"exceptions": ["KeyError"]}, {"tracebacks": 1}, {"pages": 0}):
        assert not replace(report, **fault).sound
