"""A chart that was drawn is kept: pages draw the same ones anew in every run, for tens of milliseconds."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, ParamSpec

import altair as alt
import numpy as np

P = ParamSpec("P")

#: Charts that are kept in a process, the last ones drawn.
MOST_KEPT = 48

_kept: OrderedDict[str, alt.LayerChart] = OrderedDict()
_lock = threading.Lock()


def drawn_once(draw: Callable[P, alt.LayerChart]) -> Callable[P, alt.LayerChart]:
    """`draw`, which gives the chart that it drew before of arguments with the same content.

    Found by content, so a result that was computed anew, or a model that was changed under its name, has a
    chart of its own. A chart is never changed in place, as Altair's methods never do.
    """

    @wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> alt.LayerChart:
        content = hashlib.blake2b(f"{draw.__module__}.{draw.__qualname__}".encode())
        _add(content, (args, options))
        key = content.hexdigest()
        with _lock:
            if key in _kept:
                _kept.move_to_end(key)
                return _kept[key]
        chart = draw(*args, **options)
        with _lock:
            _kept[key] = chart
            while len(_kept) > MOST_KEPT:
                _kept.popitem(last=False)
        return chart

    return drawn


def _add(content: hashlib.blake2b, value: Any) -> None:
    """Add `value` to `content`, each part with its kind and size, so that no two values look alike."""
    content.update(f"{type(value).__qualname__} ".encode())
    if is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, np.ndarray) and value.dtype != object:
        content.update(f"{value.dtype.str} {value.shape} ".encode())
        content.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        _add(content, list(value.items()))
    elif isinstance(value, list | tuple | np.ndarray):
        content.update(f"{len(value)} ".encode())
        for part in value:
            _add(content, part)
    elif isinstance(value, str | int | float | np.generic | range | None):
        word = repr(value).encode()
        content.update(f"{len(word)} ".encode() + word)
    else:
        raise TypeError(f"A chart of {type(value).__qualname__} cannot be found by its content.")
