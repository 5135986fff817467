"""Whose turn it is, where the policy bounds how many pages are drawn and how many results computed at a time.

All pages share one interpreter: thirty that are drawn at once are each drawn thirty times as slowly. A place
that gets free goes to whoever has had least of it lately, so that one stored page does not wait for those of
somebody who asks without a pause.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from analysis.errors import PathscopeError
from analysis.labels import counted
from analysis.policy import OWN_MACHINE, policy

#: Seconds after which what somebody had counts half.
_HALF_LIFE = 60.0
#: Somebodies of whom it is remembered; of more, the one that has been quiet longest begins anew.
_MOST_REMEMBERED = 10_000
#: Seconds after which a turn no longer keeps others from theirs: it waits for something itself. And how long
#: one does that is over but for what is under way to the visitor, who may have ceased to read.
_LONG_TURN, _SENDING = 10.0, 1.0
#: Seconds after which it is asked again whether who waits is still there.
_LOOK_SECONDS = 0.25
#: How many may wait, of one and in all: each is a thread.
MOST_OF_ONE, MOST_WAITING = 20, 100


@dataclass(eq=False)
class _Turn:
    """Somebody waits, and then has a place since `began`, that others want back by `due`."""

    who: str
    began: float | None = None
    due: float = 0.0
    asked: float = field(default_factory=time.monotonic)


class Places:
    """Places of one kind, who has them, and who waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._had: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._waiting: list[_Turn] = []
        self._inside: list[_Turn] = []

    @contextmanager
    def turn(self, who: str, places: int, present: Callable[[], object]) -> Iterator[_Turn]:
        """Wait for one of `places`, and have it in the block.

        Calls `present` now and then while it waits, which raises where nobody waits any more. Raises
        `PathscopeError` where too many wait already.
        """
        mine = self._come(who)
        try:
            while not self._enter(mine, places):
                present()
            yield mine
        finally:
            self._leave(mine)

    def _come(self, who: str) -> _Turn:
        with self._changed:
            waiting, of_one = len(self._waiting), sum(turn.who == who for turn in self._waiting)
            if of_one >= MOST_OF_ONE or waiting >= MOST_WAITING:
                raise PathscopeError(
                    f"This server is busy: {counted(waiting, 'page')} wait{'s' * (waiting == 1)} for a turn, "
                    f"{of_one} of your address, and at most {MOST_WAITING} may, {MOST_OF_ONE} of one. "
                    f"Try again in a minute. {OWN_MACHINE}"
                )
            mine = _Turn(who)
            self._waiting.append(mine)
            return mine

    def _enter(self, mine: _Turn, places: int) -> bool:
        """Whether `mine` has a place, now or after a look's time."""
        with self._changed:
            if not self._is_next(mine, places):
                self._changed.wait(_LOOK_SECONDS)
            if not self._is_next(mine, places):
                return False
            self._waiting.remove(mine)
            self._inside.append(mine)
            mine.began = time.monotonic()
            mine.due = mine.began + _LONG_TURN
            # Where there are several places, the next one may come in, too.
            self._changed.notify_all()
            return True

    def _is_next(self, mine: _Turn, places: int) -> bool:
        now = time.monotonic()
        taken = sum(now < turn.due for turn in self._inside)
        next_one = min(self._waiting, key=lambda turn: (self._of(turn.who, now), turn.asked))
        return taken < places and mine is next_one

    def _leave(self, mine: _Turn) -> None:
        with self._changed:
            if mine.began is None:
                self._waiting.remove(mine)
            else:
                now = time.monotonic()
                self._had[mine.who] = self._of(mine.who, now), now
                self._inside.remove(mine)
                self._had.move_to_end(mine.who)
                while len(self._had) > _MOST_REMEMBERED:
                    self._had.popitem(last=False)
            self._changed.notify_all()

    def _of(self, who: str, now: float) -> float:
        """Seconds that `who` has had lately, and is having."""
        seconds, when = self._had.get(who, (0.0, 0.0))
        having = sum(now - turn.began for turn in self._inside if turn.who == who and turn.began is not None)
        return seconds * 0.5 ** ((now - when) / _HALF_LIFE) + having


class Page:
    """A page that is being drawn for `who`, with its place as long as it draws."""

    def __init__(self, who: str, places: int, present: Callable[[], object]) -> None:
        self.who, self.places, self.present = who, places, present
        self.place = ExitStack()

    def take_place(self) -> None:
        """Wait for a place and take it."""
        self._turn = self.place.enter_context(_drawing.turn(self.who, self.places, self.present))

    def keep_place(self) -> Callable[[], None]:
        """Keep the place for a moment after the page is drawn, until what is returned is called by anyone."""
        self._turn.due = min(self._turn.due, time.monotonic() + _SENDING)
        return self.place.pop_all().close


_drawing, _computing = Places(), Places()
_page: ContextVar[Page | None] = ContextVar("page", default=None)


@contextmanager
def drawing(who: str, present: Callable[[], object]) -> Iterator[Page | None]:
    """Wait for a place to draw a page for `who`, and have it in the block; None where nobody waits.

    `present` is called now and then while it waits, and raises where nobody waits any more. Raises
    `PathscopeError` where too many wait already.
    """
    places = policy().drawn_at_once
    if places is None:
        yield None
        return
    page = Page(who, places, present)
    with page.place:
        page.take_place()
        before = _page.set(page)
        try:
            yield page
        finally:
            _page.reset(before)


@contextmanager
def computing() -> Iterator[None]:
    """Wait for a place to compute what the page of this thread needs; others are drawn meanwhile.

    Whoever draws no page does not wait. Raises as `drawing` does.
    """
    page, places = _page.get(), policy().computed_at_once
    if page is None or places is None:
        yield
        return
    page.place.close()
    before = _page.set(None)  # what is computed for a result takes no second place
    try:
        with _computing.turn(page.who, places, page.present):
            yield
    finally:
        _page.reset(before)
        page.take_place()
