"""Several servers on one directory."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from analysis.store.store import Store
from tests.store.workers import LONG, files, hammer, hold, is_whole, processes, write, write_slowly

SECONDS = 60 if LONG else 5
LIMIT = 1_000_000


@contextmanager
def another_server(target, *args):
    here, there = processes.Pipe()
    server = processes.Process(target=target, args=(*args, there))
    server.start()
    there.close()  # so that a server that dies is an end of the pipe here, and not silence
    try:
        yield here
    finally:
        server.kill()
        server.join()


@pytest.mark.slow
def test_every_value_read_equals_the_value_written_under_four_processes_of_eight_threads(tmp_path):
    pipes, servers = [], []
    for number in range(4):
        here, there = processes.Pipe(duplex=False)
        servers.append(processes.Process(target=hammer, args=(tmp_path, LIMIT, SECONDS, number, there)))
        servers[-1].start()
        there.close()
        pipes.append(here)
    assert all(pipe.poll(SECONDS + 120) for pipe in pipes), "a server hangs"
    reports = [pipe.recv() for pipe in pipes]
    for server in servers:
        server.join()
    totals = {name: sum(counts[name] for counts, _ in reports) for name in reports[0][0]}
    print(totals)
    assert totals["wrong"] == totals["refused"] == 0
    assert totals["reads"] > 0 and totals["writes"] > 0 and totals["misses"] > 0
    assert all(notices == () for _, notices in reports)
    store = Store.open(tmp_path, LIMIT)
    assert len(files(store)) == len(store.keys())
    assert sum(path.stat().st_size for path in store.directory.glob("values/*")) <= LIMIT


def test_a_server_that_starts_leaves_the_write_of_another_alone(tmp_path):
    with another_server(write_slowly, tmp_path) as server:
        assert server.recv() == "in the middle"
        second = Store.open(tmp_path)
        assert len(files(second)) == 1
        server.send("go on")
        assert server.recv() is None
        assert is_whole(second.get("kind/slow"))


def test_what_one_server_stores_another_reads(tmp_path):
    first, second = Store.open(tmp_path), Store.open(tmp_path)
    write(first, "kind/a", 1, 10)
    assert is_whole(second.get("kind/a"))
    second.delete("kind/a")
    assert first.get("kind/a") is None


def test_a_lock_excludes_other_processes_until_its_holder_dies(tmp_path):
    store = Store.open(tmp_path)
    entered = []
    with another_server(hold, tmp_path, "kind/a") as server:
        assert server.recv() == "held"
        with store.lock("kind/b"):
            entered.append("b")
        waiting = processes.Pipe()
        rival = processes.Process(target=hold, args=(tmp_path, "kind/a", waiting[1]))
        rival.start()
        waiting[1].close()
        assert not waiting[0].poll(2), "two processes held one lock"
    assert waiting[0].poll(60) and waiting[0].recv() == "held"
    waiting[0].send("let go")
    rival.join()
    with store.lock("kind/a"):
        entered.append("a")
    assert entered == ["b", "a"]
