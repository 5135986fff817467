"""Long work of one kind: one piece at a time, each in a thread of its own, none for longer than its turn.

A thread cannot be ended from outside. What takes longer than its turn is given up on: whoever waits for it is
told, and the next piece begins beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Pieces of work by key; whoever asks for a key that is under way waits for that one piece."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._turn = threading.Lock()
        self._under_way: dict[str, Future[T]] = {}

    def once(self, key: str, work: Callable[[], T], seconds: float, too_long: Exception) -> T:
        """What `work` returns or raises, once it had its turn; `too_long` after `seconds` of that.

        While what was given up on is still at it, whoever asks for the same key gets `too_long` at once.
        """
        with self._guard:
            outcome = self._under_way.get(key)
            if outcome is None:
                outcome = self._under_way[key] = Future()
                arguments = (key, work, seconds, too_long, outcome)
                threading.Thread(target=self._take_turn, args=arguments, daemon=True).start()
        return outcome.result()

    def _take_turn(
        self, key: str, work: Callable[[], T], seconds: float, too_long: Exception, outcome: Future[T]
    ) -> None:
        self._turn.acquire()  # released by whichever ends the turn: this thread or its timer
        timer = threading.Timer(seconds, self._end, (outcome, lambda: outcome.set_exception(too_long)))
        timer.daemon = True
        timer.start()
        try:
            result = work()
        except BaseException as error:
            raised = error
            self._end(outcome, lambda: outcome.set_exception(raised))
        else:
            self._end(outcome, lambda: outcome.set_result(result))
        finally:
            timer.cancel()
            with self._guard:
                del self._under_way[key]

    def _end(self, outcome: Future[T], settle: Callable[[], None]) -> None:
        """Settle `outcome` and pass the turn on, unless that has been done."""
        with self._guard:
            if not outcome.done():
                settle()
                self._turn.release()
