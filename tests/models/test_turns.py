"""Loading in turns: each model once, one at a time, and none that takes for ever before all others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from analysis.errors import ModelError
from analysis.models import catalogue as models
from analysis.models.turns import Turns
from tests.models.test_catalogue import change_config

TOO_LONG = ModelError("too long")
FOR_EVER = 600.0


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What stuck work waits for, opened when the test ends."""
    event = threading.Event()
    yield event
    event.set()


def test_work_returns_and_raises_what_it_would():
    turns: Turns[int] = Turns()
    assert turns.once("a", lambda: 3, FOR_EVER, TOO_LONG) == 3
    with pytest.raises(ZeroDivisionError):
        turns.once("a", lambda: 1 // 0, FOR_EVER, TOO_LONG)
    assert turns.once("a", lambda: 4, FOR_EVER, TOO_LONG) == 4


def test_one_piece_is_at_work_at_a_time_and_each_key_once():
    turns: Turns[str] = Turns()
    at_work, most, done = [0], [0], []
    asked = threading.Barrier(24)

    def ask(number: int) -> str:
        key = str(number % 6)

        def work() -> str:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            threading.Event().wait(0.05)
            at_work[0] -= 1
            done.append(key)
            return key

        asked.wait()
        return turns.once(key, work, FOR_EVER, TOO_LONG)

    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(ask, range(24))) == [str(number % 6) for number in range(24)]
    assert most == [1]
    assert sorted(done) == sorted("012345")


def test_what_takes_too_long_is_told_and_keeps_no_other_waiting(gate: threading.Event):
    turns: Turns[bool] = Turns()
    with pytest.raises(ModelError, match="too long"):
        turns.once("stuck", gate.wait, 0.05, TOO_LONG)
    assert turns.once("good", lambda: True, FOR_EVER, TOO_LONG)
    with pytest.raises(ModelError, match="too long"):
        turns.once("stuck", lambda: True, FOR_EVER, TOO_LONG)
    assert turns.once("good", lambda: True, FOR_EVER, TOO_LONG)


def test_whoever_waits_for_stuck_work_is_told_too(gate: threading.Event):
    turns: Turns[bool] = Turns()

    def ask(_: int) -> bool:
        with pytest.raises(ModelError, match="too long"):
            turns.once("stuck", gate.wait, 0.2, TOO_LONG)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


def test_a_folder_that_hangs_while_it_is_loaded_does_not_block_a_good_one(
    folder: Path,
    family_directory: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    gate: threading.Event,
):
    change_config(folder, note="hangs")
    load = models._load

    def hanging(name: str, *arguments: Any) -> models.LoadedModel:
        if name == str(folder):
            gate.wait()
            raise ModelError("It hung.")
        return load(name, *arguments)

    monkeypatch.setattr(models, "_load", hanging)
    monkeypatch.setenv("PATHSCOPE_LOAD_SECONDS", "0.1")
    with pytest.raises(ModelError, match=r"not loaded after 0.1 s.*Try again later.*PATHSCOPE_LOAD_SECONDS"):
        models.load(str(folder))
    monkeypatch.setenv("PATHSCOPE_LOAD_SECONDS", "600")
    models._loaded.clear()
    assert models.load(str(family_directory("llama"))).bridge("a").isfinite().all()
    with pytest.raises(ModelError, match=r"not loaded after 0\.1 s"):
        models.load(str(folder))


def test_a_folder_that_is_refused_by_its_files_makes_no_model_leave(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATHSCOPE_MODELS", "1")
    kept = models.load("demo").bridge
    change_config(folder, model_type="nonsense")
    with pytest.raises(ModelError, match="nonsense"):
        models.load(str(folder))
    assert models.load("demo").bridge is kept
