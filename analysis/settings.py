"""Limits and locations, each with an environment variable that overrides it.

``python -m analysis.settings`` prints the table of them that README holds.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_cache_dir
from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from analysis.errors import PathscopeError
from analysis.labels import printable

_PREFIX = "PATHSCOPE_"
_KIB, _GIB, _DAY = 1024, 1024**3, 24 * 60 * 60

#: What variables were called in releases before 1.2.
_FORMER = {"PATHSCOPE_CACHE_DIR": "PATHSCOPE_STORE_DIR", "PATHSCOPE_CACHE_BYTES": "PATHSCOPE_STORE_BYTES"}
#: Characters of a value that an error quotes.
_QUOTED = 60

_log = logging.getLogger(__name__)


def _at_home(path: Path) -> Path:
    """`path` with "~" as the user's own directory: not every place that sets variables puts it there."""
    return Path(os.path.expanduser(path))


class Settings(BaseModel):
    """What the environment says, checked; every size is in bytes, every time in seconds.

    The alias of a field is its variable, the description what README says of it.
    """

    model_config = ConfigDict(frozen=True)

    store_directory: Annotated[Path, AfterValidator(_at_home)] = Field(
        default_factory=lambda: Path(user_cache_dir("pathscope")),
        alias="PATHSCOPE_STORE_DIR",
        description="Where the store lies",
    )
    store_bytes: ByteSize = Field(
        ByteSize(4 * _GIB),
        ge=0,
        le=1024**5,
        alias="PATHSCOPE_STORE_BYTES",
        description="How much the store may hold",
    )
    sweep_bytes: ByteSize = Field(
        ByteSize(_GIB),
        ge=_KIB,
        le=1024 * _GIB,
        alias="PATHSCOPE_SWEEP_BYTES",
        description="Memory that one sweep may use beyond the model",
    )
    prompt_tokens: int = Field(
        1024,
        ge=1,
        le=100_000,
        alias="PATHSCOPE_PROMPT_TOKENS",
        description="Tokens that a prompt may have; characters, ten times as many",
    )
    prompt_bytes: ByteSize = Field(
        ByteSize(4 * _GIB),
        ge=_KIB,
        le=1024 * _GIB,
        alias="PATHSCOPE_PROMPT_BYTES",
        description="Memory that one prompt may take beyond the model, by an estimate",
    )
    models_loaded: int = Field(
        2,
        ge=1,
        le=64,
        alias="PATHSCOPE_MODELS",
        description="How many models stay loaded; the least recently used leaves",
    )
    memory_bytes: ByteSize = Field(
        ByteSize(0),
        ge=0,
        le=1024**5,
        alias="PATHSCOPE_MEMORY_BYTES",
        description="Memory that the process may hold when it loads a model; 0B, what is free",
    )
    load_seconds: float = Field(
        600.0,
        ge=0.1,
        le=_DAY,
        allow_inf_nan=False,
        alias="PATHSCOPE_LOAD_SECONDS",
        description="Seconds after which a model that is still being loaded is not waited for",
    )
    download_bytes: ByteSize = Field(
        ByteSize(16 * _GIB),
        ge=0,
        le=1024**5,
        alias="PATHSCOPE_DOWNLOAD_BYTES",
        description="How large a model may be that is fetched from the Hugging Face Hub",
    )
    download_seconds: float = Field(
        3600.0,
        ge=1,
        le=_DAY,
        allow_inf_nan=False,
        alias="PATHSCOPE_DOWNLOAD_SECONDS",
        description="Seconds that fetching a model may take",
    )
    hub_token: int = Field(
        0,
        ge=0,
        le=1,
        alias="PATHSCOPE_HUB_TOKEN",
        description="1: the login of this machine is sent to the Hub for whatever model is asked for",
    )
    workers: int = Field(
        1, ge=1, le=64, alias="PATHSCOPE_WORKERS", description="Sweeps and searches that run at once"
    )
    queue_length: int = Field(
        16, ge=1, le=1000, alias="PATHSCOPE_QUEUE", description="Sweeps and searches that may wait"
    )
    grace_seconds: float = Field(
        -1.0,
        ge=-1,
        le=7 * _DAY,
        allow_inf_nan=False,
        alias="PATHSCOPE_GRACE",
        description="Seconds that a sweep or search goes on after its last watcher left; below 0, to its end",
    )

    @property
    def prompt_characters(self) -> int:
        """Characters that a prompt may have, so that a longer one is not even cut into tokens."""
        return 10 * self.prompt_tokens

    @property
    def largest_entry_share(self) -> float:
        """A value above this share of `store_bytes` is shown but not stored."""
        return 0.25

    @property
    def replay_tolerance(self) -> float:
        """How far a replayed logit may be off, as a share of the spread of its row's ordinary logits."""
        return 1e-4


def settings() -> Settings:
    """The settings in force, by what the environment says at this call.

    Raises `PathscopeError` with one sentence for each variable that holds what it must not. A variable of
    this family that is none is told on the log, once.
    """
    named = {name: value for name, value in os.environ.items() if name.upper().startswith("PATHSCOPE")}
    return _checked(tuple(sorted(named.items())))


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
    low, high = _bounds(field)
    return (
        f"{spelt} is {printable(value, _QUOTED)!r}, and must be {_kind(field)} from {low} to {high}. "
        f"Set it so, or leave it out for {_default(field)}."
    )


def _unknown(name: str) -> str:
    # The prefix is left aside, else every name would be near to every other.
    own = {known.removeprefix(_PREFIX): known for known in _fields()}
    near = get_close_matches(name.upper().removeprefix(_PREFIX), own, n=1)
    way_out = f"did you mean {own[near[0]]}?" if near else f"known are {', '.join(own.values())}."
    return f"{printable(name, _QUOTED)} is no setting, and changes nothing; {way_out}"


def _kind(field: FieldInfo) -> str:
    if field.annotation is ByteSize:
        return "a size such as 4GB, 512MiB or a number of bytes,"
    return "a number of seconds" if field.annotation is float else "a whole number"


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
    return _written(field, field.default) if field.default_factory is None else "the user's cache directory"


def _written(field: FieldInfo, value: float) -> str:
    """`value` as one may set it."""
    if field.annotation is not ByteSize:
        return f"{value:g}"
    return ByteSize(value).human_readable().replace(".0", "")


def settings_table() -> str:
    """Every variable with its default and its bounds, as a table in Markdown."""
    lines = ["| Setting | Default | From | To | What |", "|---|---|---|---|---|"]
    for name, field in _fields().items():
        low, high = _bounds(field) if field.metadata and field.annotation is not Path else ("", "")
        lines.append(f"| `{name}` | {_default(field)} | {low} | {high} | {field.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(settings_table())
