"""The settings in force, read from the environment and checked, and the table of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from pydantic import ByteSize, ValidationError
from pydantic.fields import FieldInfo

from analysis.errors import PathscopeError
from analysis.labels import printable
from analysis.settings.fields import Settings

_PREFIX = "PATHSCOPE_"

#: What variables were called in releases before 1.2.
_FORMER = {"PATHSCOPE_CACHE_DIR": "PATHSCOPE_STORE_DIR", "PATHSCOPE_CACHE_BYTES": "PATHSCOPE_STORE_BYTES"}
#: Characters of a value that an error quotes.
_QUOTED = 60

_log = logging.getLogger(__name__)


#: Variables that the thread at hand takes to be set otherwise than the environment has them.
_in_their_place: ContextVar[Mapping[str, str]] = ContextVar("in their place", default=MappingProxyType({}))


@contextmanager
def settings_of(variables: Mapping[str, str]) -> Iterator[None]:
    """In the block, and in this thread alone, `variables` are set as they are here; "" leaves one out."""
    before = _in_their_place.set(variables)
    try:
        yield
    finally:
        _in_their_place.reset(before)


def settings() -> Settings:
    """The settings in force, by what the environment says at this call.

    Raises `PathscopeError` with one sentence for each variable that holds what it must not. A variable of
    this family that is none is told on the log, once.
    """
    # The names first: every value that is read has to be decoded, too.
    named = {name: os.environ.get(name, "") for name in os.environ if name.upper().startswith("PATHSCOPE")}
    return _checked(tuple(sorted({**named, **_in_their_place.get()}.items())))


@lru_cache(maxsize=8)
def _checked(environment: tuple[tuple[str, str], ...]) -> Settings:
    held = dict(environment)
    for name in sorted(held.keys() - _fields().keys() - _FORMER.keys()):
        _log.warning("%s", _unknown(name))
    said, spelt = _by_present_name(held)
    try:
        return Settings.model_validate(said)
    except ValidationError as error:
        wrong = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors())
        raise PathscopeError(" ".join(_refused(name, spelt[name], said[name]) for name in wrong)) from error


def _by_present_name(held: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Variable -> its value and -> the name that it was set by; an empty one counts as unset."""
    said, spelt = {}, {}
    for former, name in (*_FORMER.items(), *((name, name) for name in _fields())):
        if held.get(former, "").strip():
            said[name], spelt[name] = held[former].strip(), former
    return said, spelt


def _fields() -> dict[str, FieldInfo]:
    return {str(field.alias): field for field in Settings.model_fields.values()}


def _refused(name: str, spelt: str, value: str) -> str:
    field = _fields()[name]
    between = " from {} to {}".format(*_bounds(field)) if _has_bounds(field) else ""
    return (
        f"{spelt} is {printable(value, _QUOTED)!r}, and must be {_kind(field)}{between}. "
        f"Set it so, or leave it out for {_default(field)}."
    )


def _unknown(name: str) -> str:
    # The prefix is left aside, else every name would be near to every other.
    own = {known.removeprefix(_PREFIX): known for known in _fields()}
    near = get_close_matches(name.upper().removeprefix(_PREFIX), own, n=1)
    way_out = f"did you mean {own[near[0]]}?" if near else f"known are {', '.join(own.values())}."
    return f"{printable(name, _QUOTED)} is no setting, and changes nothing; {way_out}"


def _kind(field: FieldInfo) -> str:
    if field.examples:
        return f"written as {field.examples[0]}"
    if field.annotation is str:
        return "plain names, without paths, and with a comma between two"
    if field.annotation is ByteSize:
        return "a size such as 4GB, 512MiB or a number of bytes,"
    return "a number of seconds" if field.annotation is float else "a whole number"


def _has_bounds(field: FieldInfo) -> bool:
    return field.annotation in (int, float, ByteSize)


def _bounds(field: FieldInfo) -> tuple[str, str]:
    """The least and the greatest value, as they are written."""
    limits: dict[str, Any] = {
        side: getattr(limit, side)
        for limit in field.metadata
        for side in ("ge", "le")
        if hasattr(limit, side)
    }
    return _written(field, limits["ge"]), _written(field, limits["le"])


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the user's cache directory"
    return _written(field, field.default) if _has_bounds(field) else "none"


def _written(field: FieldInfo, value: float) -> str:
    """`value` as one may set it."""
    if field.annotation is not ByteSize:
        return f"{value:g}"
    return ByteSize(value).human_readable().replace(".0", "")


def settings_table() -> str:
    """Every variable with its default and its bounds, as a table in Markdown."""
    lines = ["| Setting | Default | From | To | What |", "|---|---|---|---|---|"]
    for name, field in _fields().items():
        low, high = _bounds(field) if _has_bounds(field) else ("", "")
        lines.append(f"| `{name}` | {_default(field)} | {low} | {high} | {field.description} |")
    return "\n".join(lines)
