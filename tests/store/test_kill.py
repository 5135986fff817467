"""A server killed in the middle of a write loses nothing that was finished, and leaves nothing behind."""

from __future__ import annotations

import random
import time

import pytest

from analysis.store.store import Store
from tests.store.workers import LONG, files, is_whole, processes, write_for_ever

ROUNDS = 200 if LONG else 15


def killed_at_random(directory, round_number: int) -> list[tuple[str, str, int]]:
    """What a writer told before it was killed, up to 60 ms after its first write began."""
    here, there = processes.Pipe(duplex=False)
    writer = processes.Process(target=write_for_ever, args=(directory, round_number * 1_000_000, there))
    writer.start()
    there.close()
    assert here.poll(60), "the writer never began"
    time.sleep(random.Random(round_number).uniform(0, 0.06))
    writer.kill()
    writer.join()
    told = []
    while True:
        try:
            told.append(here.recv())
        except EOFError:
            return told


@pytest.mark.slow
def test_a_kill_in_mid_write_loses_no_finished_entry_and_leaves_no_orphan(tmp_path):
    finished: dict[str, int] = {}
    interrupted = orphans = 0
    for round_number in range(1, ROUNDS + 1):
        told = killed_at_random(tmp_path, round_number)
        finished |= {key: seed for state, key, seed in told if state == "stored"}
        under_way = {told[-1][1]: told[-1][2]} if told[-1][0] == "began" else {}
        interrupted += bool(under_way)
        # Opened without clearing, to count what the kill left.
        before = Store(tmp_path, 2**30)
        kept = set(before._opened().names(""))
        orphans += len(files(before)) - len(kept)

        store = Store.open(tmp_path)

        for key in {*finished, *under_way}:
            entry = store.get(key)
            expected = {finished.get(key), under_way.get(key)}
            assert (entry.values["seed"] if entry else None) in expected, f"round {round_number}: {key}"
            if entry is not None:
                assert is_whole(entry)
                finished[key] = entry.values["seed"]
        assert len(files(store)) == len(store.keys())
        assert store.notices() == ()
    print(f"{ROUNDS} kills, {interrupted} of them in mid-write, {orphans} orphans left and cleared away")
    assert interrupted > ROUNDS // 3
