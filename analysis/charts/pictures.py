"""Pictures drawn in processes of their own, which may die or hang without harm to this one.

The converter ends its process on some texts and takes minutes over others. So it gets a specification
through a pipe, a time limit, and is kept for the next picture as long as it does well.
"""

from __future__ import annotations

import atexit
import json
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from analysis.errors import PictureError

Form = Literal["png", "svg", "pdf"]

#: Seconds after which a picture is given up, and for which one waits for its turn.
LIMIT = 20.0
#: Pictures that are drawn at the same time.
AT_ONCE = 2

_SCRIPT = Path(__file__).with_name("converter.py")


def draw(spec: dict[str, Any], form: Form, seconds: float = LIMIT) -> bytes:
    """The Vega-Lite specification `spec` as a picture; an SVG is UTF-8 text.

    Raises `PictureError` where the converter refuses it, dies of it or takes more than `seconds`, and
    where `AT_ONCE` other pictures keep this one waiting for longer.
    """
    request = f"{form}\n{json.dumps(spec)}".encode("ascii")
    if not _places.acquire(timeout=seconds):
        raise _not_drawn(f"{AT_ONCE} others are being drawn, and none was ready in {seconds:g} s; try again")
    try:
        reply = _reply(request, seconds)
    finally:
        _places.release()
    if reply[:1] != b"+":
        raise _not_drawn(" ".join(reply[1:].decode("utf-8", "replace").split())[:200])
    return reply[1:]


class _Converter:
    """One process that draws, and the two pipes to it."""

    def __init__(self) -> None:
        # -P: the script's folder is no place to import from. In a session of its own, it is spared what a
        # terminal sends to the server.
        command = [sys.executable, "-P", str(_SCRIPT), str(round(LIMIT) + 5)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._late = threading.Event()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def reply(self, request: bytes, seconds: float) -> bytes:
        """What the process answers to `request`; `PictureError` where it dies or is too slow."""
        assert self._process.stdin and self._process.stdout
        timer = threading.Timer(seconds, self._stop)
        timer.start()
        reply, size = b"", 0
        try:
            # Broken pipes tell no more than the end of the process does.
            with suppress(OSError, struct.error):
                self._process.stdin.write(struct.pack(">Q", len(request)) + request)
                self._process.stdin.flush()
                (size,) = struct.unpack(">Q", self._process.stdout.read(8))
                reply = self._process.stdout.read(size)
        finally:
            timer.cancel()
            timer.join()
        if self._late.is_set():
            raise _not_drawn(f"it took more than {seconds:g} s and was given up")
        if not size or len(reply) < size:
            raise _not_drawn(f"its process came to an end ({self._cause()})")
        return reply

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()

    def _stop(self) -> None:
        self._late.set()
        self._process.kill()

    def _cause(self) -> str:
        code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"


_places = threading.BoundedSemaphore(AT_ONCE)
_idle: list[_Converter] = []


def _reply(request: bytes, seconds: float) -> bytes:
    converter = _ready()
    try:
        reply = converter.reply(request, seconds)
    except BaseException:
        converter.close()
        raise
    _idle.append(converter)
    return reply


def _ready() -> _Converter:
    """A converter that waits for work, or a new one."""
    # Another thread may take the last one between a look at the list and the pop.
    with suppress(IndexError):
        while True:
            converter = _idle.pop()
            if converter.alive:
                return converter
            converter.close()
    try:
        return _Converter()
    except OSError as error:
        raise _not_drawn(f"its process could not be started: {error}") from error


@atexit.register
def _close_all() -> None:
    while _idle:
        _idle.pop().close()


def _not_drawn(reason: str) -> PictureError:
    return PictureError(f"The picture could not be drawn: {reason.rstrip('.')}. The CSV has the numbers.")
