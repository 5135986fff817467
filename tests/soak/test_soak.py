"""A short soak: nothing raised, nothing hung, nothing left running."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.soak.__main__ import Report, soak


def test_visitors_meet_no_exception_and_leave_no_sweep_behind():
    # In a thread of its own, because the browser tests leave an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        report = pool.submit(soak, minutes=0.25, visitors=3, seed=1).result()
    assert (report.exceptions, report.tracebacks, report.idle_afterwards) == ([], 0, True)
    assert report.counts["sessions"] >= 3
    assert report.counts["elements drawn"] > 20


def test_a_report_with_a_fault_is_not_sound():
    sound = Report(1.0, 1, {}, [], 0, [], 100.0, 109.0, True)
    assert sound.sound and round(sound.growth, 3) == 0.09
    for fault in ({"exceptions": ["KeyError"]}, {"tracebacks": 1}, {"idle_afterwards": False}):
        assert not Report(**{**vars(sound), **fault}).sound
