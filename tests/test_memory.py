"""What memory there is, and that what was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys
from mmap import ACCESS_READ, mmap
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


@pytest.mark.skipif(memory._of_glibc("malloc_trim") is None, reason="this C library has no malloc_trim")
def test_what_is_freed_below_a_block_in_use_goes_back_to_the_system():
    run = subprocess.run([sys.executable, "-c", HOLDS], cwd=ROOT, capture_output=True, text=True, check=True)
    by_itself, given_back = map(int, run.stdout.split())
    assert given_back > 0.9 * 100_000 * 1000 / 4096 - by_itself
    assert given_back > 0


def test_where_the_library_cannot_nothing_happens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_of_glibc", lambda _name: None)
    memory.give_back()
    memory.share_arenas()


@pytest.mark.parametrize("code", ["import analysis.answers", "import analysis.jobs"])
def test_libraries_keep_little_in_a_process_that_answers(code: str):
    names = "'MKL_DISABLE_FAST_MM', 'ONEDNN_PRIMITIVE_CACHE_CAPACITY'"
    report = f"{code}; import os, sys; print(*map(os.environ.get, ({names})), 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "64", "False"], "set before torch reads them"


def a_container(folder: Path, most: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text("700\n")
    (folder / "memory.stat").write_text("anon 500\ninactive_file 150\nactive_file 50\n")
    monkeypatch.setattr(memory, "_CGROUP", folder)


def test_a_limit_leaves_what_is_not_held_of_it():
    free = memory.free_bytes(10**15)
    assert free is not None and 10**15 - 10**11 < free < 10**15 - 10**7


@pytest.mark.skipif(not memory._STATM.exists(), reason="this system does not tell what a process holds")
def test_pages_of_a_file_that_is_mapped_are_not_held(tmp_path: Path):
    file, size, limit = tmp_path / "file", 50 * 10**6, 10**12
    file.write_bytes(bytes(size))

    def free() -> int:
        left = memory.free_bytes(limit)
        assert left is not None
        return left

    before = free()
    with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as mapped:
        assert sum(mapped[::4096]) == 0
        assert before - free() < size / 5
    held = bytearray(size)
    assert before - free() > size / 2 and len(held) == size


def test_a_container_has_what_it_may_still_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    a_container(tmp_path, "1000", monkeypatch)
    assert memory.free_bytes() == 450


def test_a_container_without_a_limit_has_what_the_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    a_container(tmp_path, "max", monkeypatch)
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   7 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    assert memory.free_bytes() == 7 * 1024


def test_a_system_that_does_not_tell_what_is_free_has_all_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    total = memory.free_bytes()
    assert total is not None and total > 10**8
    monkeypatch.delattr("os.sysconf")
    assert memory.free_bytes() is None
