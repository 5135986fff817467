"""Who draws and who computes next, where strangers are served."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from analysis.answers import answer, places
from analysis.answers.places import Places, computing, drawing
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import PathscopeError
from analysis.policy import OWN_MACHINE
from analysis.requests import Experiment
from analysis.results import OverviewRequest
from tests.jobs.watching import until


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHSCOPE_HOSTED", "1")
    monkeypatch.setattr(places, "_drawing", Places())
    monkeypatch.setattr(places, "_computing", Places())
    monkeypatch.setattr(places, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(places, "_LONG_TURN", 1000.0)  # or what is never given back would be free in the end


class Crowd:
    """Threads that each want a place; `order` is that in which they had it."""

    def __init__(self, kind: Places, n_places: int = 1) -> None:
        self.kind, self.n_places = kind, n_places
        self.order: list[str] = []
        self._go: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def come(self, name: str, present: Callable[[], object] = lambda: None) -> None:
        """`name` is of the address that its first letter names."""
        go = self._go[name] = threading.Event()

        def wait() -> None:
            with self.kind.turn(name[0], self.n_places, present):
                self.order.append(name)
                assert go.wait(30)

        known = len(self.kind._waiting) + len(self.kind._inside)
        thread = threading.Thread(target=wait)
        thread.start()
        self._threads.append(thread)
        until(lambda: len(self.kind._waiting) + len(self.kind._inside) == known + 1)

    def leave(self, name: str) -> None:
        had = len(self.order)
        more = bool(self.kind._waiting)
        self._go[name].set()
        until(lambda: len(self.order) > had or not more)

    def end(self) -> None:
        for go in self._go.values():
            go.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


@contextmanager
def crowd(n_places: int = 1) -> Iterator[Crowd]:
    gathered = Crowd(Places(), n_places)
    try:
        yield gathered
    finally:
        gathered.end()


def test_next_is_whoever_has_had_least():
    with crowd() as waiting:
        waiting.come("a1")
        until(lambda: waiting.order == ["a1"])
        time.sleep(0.05)
        for name in ("a2", "a3", "b1", "c1"):
            waiting.come(name)
        for name in ("a1", "b1", "c1", "a2"):
            waiting.leave(name)
        assert waiting.order == ["a1", "b1", "c1", "a2", "a3"]


def test_what_was_had_is_forgotten_by_halves(monkeypatch):
    kind = Places()
    kind._had["a"] = (8.0, 1000.0)
    assert kind._of("a", 1000.0 + 3 * places._HALF_LIFE) == 1.0 and kind._of("b", 1000.0) == 0
    monkeypatch.setattr(places, "_MOST_REMEMBERED", 2)
    for who in "abc":
        with kind.turn(who, 1, lambda: None):
            pass
    assert [*kind._had] == ["b", "c"]


def test_there_are_as_many_places_as_are_given():
    with crowd(n_places=2) as waiting:
        for name in ("a1", "b1", "c1"):
            waiting.come(name)
        until(lambda: len(waiting.order) == 2)
        time.sleep(0.05)
        assert waiting.order == ["a1", "b1"]


def test_who_takes_long_no_longer_keeps_others_waiting(monkeypatch):
    monkeypatch.setattr(places, "_LONG_TURN", 0.1)
    with crowd() as waiting:
        waiting.come("a1")
        waiting.come("b1")
        until(lambda: waiting.order == ["a1", "b1"])


def test_who_has_left_waits_no_more():
    kind = Places()

    def gone() -> None:
        raise ConnectionError("the visitor has left")

    with (
        kind.turn("a", 1, lambda: None),
        pytest.raises(ConnectionError),
        kind.turn("b", 1, gone),
    ):
        pytest.fail("it was nobody's turn")
    assert not kind._waiting and not kind._inside


def test_more_than_may_wait_are_told_so(monkeypatch):
    monkeypatch.setattr(places, "MOST_OF_ONE", 1)
    monkeypatch.setattr(places, "MOST_WAITING", 2)
    with crowd() as waiting:
        waiting.come("a1")
        until(lambda: waiting.order == ["a1"])
        waiting.come("a2")
        with pytest.raises(PathscopeError) as refusal, waiting.kind.turn("a", 1, lambda: None):
            pytest.fail("too many wait")
        told = str(refusal.value)
        assert told.startswith("This server is busy: 1 page waits for a turn, 1 of your address, and at most")
        assert told.endswith(OWN_MACHINE)
        waiting.come("b1")
        with pytest.raises(PathscopeError, match="2 pages wait for a turn, 0 of your address"):
            waiting.kind.turn("c", 1, lambda: None).__enter__()


def test_while_one_computes_others_are_drawn():
    order: list[str] = []
    computes, drawn = threading.Event(), threading.Event()

    def first() -> None:
        with drawing("a", lambda: None):
            with computing():
                computes.set()
                assert drawn.wait(30)
                order.append("computed")
            order.append("drawn with it")

    thread = threading.Thread(target=first)
    thread.start()
    assert computes.wait(30)
    with drawing("b", lambda: None):
        order.append("drawn meanwhile")
        drawn.set()
        until(lambda: "computed" in order)
        time.sleep(0.05)
        assert order == ["drawn meanwhile", "computed"], "a page goes on with a place alone"
    thread.join(30)
    assert order[2:] == ["drawn with it"]


def test_results_are_computed_one_at_a_time_and_nothing_waits_twice():
    inside: list[int] = []
    most: list[int] = []

    def page(who: str) -> None:
        with drawing(who, lambda: None), computing(), computing():
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=page, args=(who,)) for who in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 4


def test_a_place_is_kept_until_what_was_drawn_has_left():
    with drawing("a", lambda: None) as page:
        assert page is not None
        give_back = page.keep_place()
    assert len(places._drawing._inside) == 1
    threading.Thread(target=give_back).start()
    with drawing("b", lambda: None):
        assert len(places._drawing._inside) == 1


def test_a_visitor_who_reads_nothing_keeps_a_place_for_a_moment_alone(monkeypatch):
    monkeypatch.setattr(places, "_SENDING", 0.1)
    with drawing("a", lambda: None) as page:
        assert page is not None
        _never_called = page.keep_place()
    began = time.monotonic()
    with drawing("b", lambda: None):
        assert 0.05 < time.monotonic() - began < 5


def test_an_answer_that_is_computed_gives_the_place_away(monkeypatch, own_store):
    had: list[int] = []
    taken = Places.turn

    def counted(self, *asked):
        had.append(id(self))
        return taken(self, *asked)

    monkeypatch.setattr(Places, "turn", counted)
    pair = EXAMPLES[0]
    request = OverviewRequest(Experiment("demo", pair.clean, pair.corrupted, pair.answer, pair.foil))
    with drawing("a", lambda: None):
        answer(request)
        assert had == [id(places._drawing), id(places._computing), id(places._drawing)]
        answer(request)
        assert len(had) == 3, "what is stored waits for nothing"


def test_on_a_machine_of_ones_own_nobody_waits(monkeypatch):
    monkeypatch.delenv("PATHSCOPE_HOSTED")
    with drawing("a", lambda: None) as page, drawing("b", lambda: None), computing(), computing():
        assert page is None
