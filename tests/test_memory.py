"""What was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from analysis import memory

ROOT = Path(__file__).resolve().parent.parent

# Small blocks come from the heap; the last one holds its top, so that free() alone returns nothing.
HOLDS = """
from pathlib import Path
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
from analysis.memory import give_back
blocks = [bytearray(100_000) for _ in range(1000)]
last = bytearray(100_000)
full = resident()
del blocks
freed = resident()
give_back()
print(full - freed, freed - resident())
"""


@pytest.mark.skipif(memory._malloc_trim() is None, reason="this C library has no malloc_trim")
def test_what_is_freed_below_a_block_in_use_goes_back_to_the_system():
    run = subprocess.run([sys.executable, "-c", HOLDS], cwd=ROOT, capture_output=True, text=True, check=True)
    by_itself, given_back = map(int, run.stdout.split())
    assert given_back > 0.9 * 100_000 * 1000 / 4096 - by_itself
    assert given_back > 0


def test_where_the_library_cannot_nothing_happens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_malloc_trim", lambda: None)
    memory.give_back()


@pytest.mark.parametrize("code", ["import analysis.answers", "import analysis.jobs"])
def test_mkl_keeps_no_buffers_of_threads_in_a_process_that_answers(code: str):
    report = f"{code}; import os; print(os.environ['MKL_DISABLE_FAST_MM'])"
    run = subprocess.run([sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1"]
