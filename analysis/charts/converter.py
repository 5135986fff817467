"""The process that turns specifications into pictures, one after the other, and may die of one.

Run as a script by `analysis.charts.pictures`; it imports nothing but the converter, so that it is
there in a tenth of a second. What goes through its pipes has its length before it, in eight bytes:
in comes the format's name, a line's end and the specification as JSON; out comes a plus sign and the
picture, or a minus sign and what the converter says against it.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import BinaryIO

import vl_convert

# A chart holds its data; there is no address that more may be read from.
_png = partial(vl_convert.vegalite_to_png, scale=2, allowed_base_urls=[])
_svg = partial(vl_convert.vegalite_to_svg, allowed_base_urls=[])

_SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"')


def _pdf(spec: str) -> bytes:
    """One page of the picture's size, 96 pixels an inch; the converter would make points of pixels."""
    drawn = _svg(spec)
    found = _SIZE.match(drawn)
    if found is None:
        raise ValueError("the drawing does not say how large it is")
    width, height = (float(size) * 72 / 96 for size in found.groups())
    start, end = found.start(1) - len('width="'), found.end()
    page: bytes = vl_convert.svg_to_pdf(f'{drawn[:start]}width="{width}" height="{height}"{drawn[end:]}')
    return page


_FORMATS: dict[str, Callable[[str], str | bytes]] = {"png": _png, "svg": _svg, "pdf": _pdf}


def serve(requests: BinaryIO, replies: BinaryIO, seconds: int) -> None:
    """Answer every request until there are no more; end at once when one takes longer than `seconds`."""
    # Whoever asked may be gone before it could end this process: then the alarm does.
    alarm = _alarm()
    while header := requests.read(8):
        alarm(seconds)
        form, spec = requests.read(*struct.unpack(">Q", header)).decode().split("\n", 1)
        try:
            drawn = _FORMATS[form](spec)
            reply = b"+" + (drawn.encode() if isinstance(drawn, str) else drawn)
        except ValueError as error:
            reply = b"-" + str(error).encode("utf-8", "replace")
        replies.write(struct.pack(">Q", len(reply)) + reply)
        replies.flush()
        alarm(0)


def _alarm() -> Callable[[int], object]:
    """What ends this process after so many seconds, in the middle of native code too."""
    import signal

    return getattr(signal, "alarm", lambda seconds: None)


def _no_core_dumps() -> None:
    """A process that is meant to die when it must should not leave its memory on the disk each time."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _no_core_dumps()
    # What the converter's own code prints must not get in between the replies.
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, pipe, seconds=int(sys.argv[1]))
