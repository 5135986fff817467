"""A short soak: nothing raised, nothing hung, nothing left running, everything shown that was asked for."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pages.shared.choices import CHOICES, Choice
from tests.soak import asking, visitor
from tests.soak.__main__ import Report, soak


def run(**options) -> Report:
    # In a thread of its own, because the browser tests leave an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(soak, **options).result()


def test_visitors_meet_no_exception_and_leave_no_sweep_behind():
    report = run(minutes=0.25, visitors=3, seed=1)
    assert (report.exceptions, report.tracebacks, report.idle_afterwards) == ([], 0, True)
    assert report.counts["sessions"] >= 3
    assert report.counts["elements drawn"] > 20
    assert report.counts["choices compared"] >= 4


def test_a_visitor_notices_a_word_that_the_app_ignores(monkeypatch):
    def strange(chance: random.Random) -> asking.Asked:
        asked = something(chance)
        return replace(asked, words={**asked.words, **{choice.key: "strange" for choice in CHOICES}})

    something = asking.something
    monkeypatch.setattr(asking, "something", strange)
    monkeypatch.setattr(visitor, "PAGES", ("path_patching",))
    report = run(minutes=0.25, visitors=2, seed=2)
    assert any("=strange, shown" in exception for exception in report.exceptions)
    assert not report.sound


def test_a_report_with_a_fault_is_not_sound():
    sound = Report(1.0, 1, {}, [], 0, [], 100.0, 109.0, True)
    assert sound.sound and round(sound.growth, 3) == 0.09
    for fault in ({"exceptions": ["KeyError"]}, {"tracebacks": 1}, {"idle_afterwards": False}):
        assert not Report(**{**vars(sound), **fault}).sound


def drawn_as(asked: asking.Asked) -> asking.Drawn:
    """A page that shows everything as it was asked to."""
    title = asking.METRIC.options[asked.values[asking.METRIC.key]]  # type: ignore[index]
    meaning = asking.UNIT.meanings[asked.values[asking.UNIT.key]]  # type: ignore[index]
    return asking.Drawn(
        dict(asked.shown),
        [f"{meaning} In logits."],
        [f"{title} (unit), clean run", f"{title} (unit), corrupted run"],
        refused=asked.mistaken,
    )


def sound_and_mistaken() -> list[asking.Asked]:
    asked = [asking.something(random.Random(number)) for number in range(40)]
    assert {one.mistaken for one in asked} == {True, False}
    return asked


@pytest.mark.parametrize("page", asking.CONTROLS)
def test_nothing_is_wrong_where_everything_is_shown(page: str):
    assert [asking.faults(page, asked, drawn_as(asked)) for asked in sound_and_mistaken()] == [[]] * 40


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.key)
def test_another_choice_than_the_one_asked_for_is_a_fault_on_every_page_that_offers_it(choice: Choice):
    for page, keys in asking.CONTROLS.items():
        for asked in sound_and_mistaken():
            if choice.key in keys and not asked.mistaken:
                drawn = drawn_as(asked)
                other = next(title for title in choice.options.values() if title != asked.shown[choice.key])
                drawn.controls[choice.key] = other
                assert any(f"asked for {choice.key}=" in fault for fault in asking.faults(page, asked, drawn))
                del drawn.controls[choice.key]
                assert f"no control for {choice.key}" in asking.faults(page, asked, drawn)


def test_a_caption_a_unit_or_a_refusal_that_does_not_belong_is_a_fault():
    sound = next(asked for asked in sound_and_mistaken() if not asked.mistaken)
    mistaken = next(asked for asked in sound_and_mistaken() if asked.mistaken)
    whole = drawn_as(sound)
    assert asking.faults("direct_logit_attribution", sound, replace(whole, captions=["In logits."]))
    assert asking.faults("path_patching", sound, replace(whole, figures=["Other (unit), clean run"]))
    assert asking.faults("path_patching", sound, replace(whole, figures=[]))
    assert asking.faults("sanity_checks", sound, replace(whole, refused=True))
    assert asking.faults("", mistaken, replace(drawn_as(mistaken), refused=False))
