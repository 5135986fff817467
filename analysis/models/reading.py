"""Reading the small files of a model that somebody else prepared: regular ones only, none of them whole
before its size is known, and JSON no deeper than any real one.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis.errors import ModelError

_MIB = 1024**2

#: Bytes that a file may have, several times what a published model's has. Vocabularies are read at once, into
#: some ten times their size.
LARGEST_BYTES = {
    "config.json": _MIB,
    "special_tokens_map.json": 8 * _MIB,
    "tokenizer_config.json": 8 * _MIB,
    "model.safetensors.index.json": 32 * _MIB,
    "added_tokens.json": 64 * _MIB,
    "merges.txt": 64 * _MIB,
    "sentencepiece.bpe.model": 64 * _MIB,
    "spiece.model": 64 * _MIB,
    "tokenizer.json": 64 * _MIB,
    "tokenizer.model": 64 * _MIB,
    "vocab.json": 64 * _MIB,
}

#: Levels of lists and objects within each other; libraries go down into a configuration by recursion.
_DEEPEST = 50

# Without O_NONBLOCK, opening a pipe waits for somebody to write into it; O_BINARY is Windows's.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check_regular(path: Path, name: str) -> None:
    """Raise `ModelError` where `path`, a file of model `name`, is a pipe or a device, which may never end, or
    has more than its `LARGEST_BYTES`. Whether it is there at all is not this check's business.
    """
    try:
        state = path.stat()
    except OSError:
        return
    kind = _KINDS.get(stat.S_IFMT(state.st_mode))
    if kind is not None:
        raise ModelError(
            f"{path.name} of {name!r} is {kind}, and only regular files are read. Put the file itself there."
        )
    if stat.S_ISREG(state.st_mode) and state.st_size > LARGEST_BYTES.get(path.name, state.st_size):
        raise _too_large(path, name, state.st_size)


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The JSON object in `path`, a file of model `name` that `LARGEST_BYTES` names.

    Raises `ModelError` where it is none, is too large, nests too deep, or holds text that is none.
    """
    value = parsed_json(path, name)
    for depth, part in _parts(value):
        if depth > _DEEPEST:
            raise ModelError(
                f"{path.name} of {name!r} nests lists and objects more than {_DEEPEST} deep, which no model "
                "needs. Download or save the model again."
            )
        if isinstance(part, str) and not _is_text(part):
            raise ModelError(
                f"{path.name} of {name!r} holds half a surrogate pair in {clipped(part)}, which is no text. "
                "Download or save the model again."
            )
    return value


def parsed_json(path: Path, name: str) -> dict[str, Any]:
    """As `read_json`, but whatever the object holds: a vocabulary is too long to go through."""
    content = _read(path, name)
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{path.name} of {name!r} is not readable JSON: {one_line(error)}. "
            "Download or save the model again."
        ) from error
    if not isinstance(value, dict):
        raise ModelError(f"{path.name} of {name!r} holds no JSON object. Download or save the model again.")
    return value


def state_of(path: Path) -> tuple[int, ...]:
    """What changes when the content of `path` does, given its old size and date though it may be."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def clipped(value: object) -> str:
    """How `value` is written in a sentence: what a file holds may be of any length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def one_line(text: object) -> str:
    """`text` for a sentence, on one line: an error may quote a file, in which anything stands."""
    line = " ".join(str(text).split()).encode("utf-8", "backslashreplace").decode("utf-8")
    return line if len(line) <= 300 else f"{line[:297]}..."


def _read(path: Path, name: str) -> bytes:
    """The content of the regular file `path`; what takes its place between check and opening is noticed."""
    check_regular(path, name)
    largest = LARGEST_BYTES[path.name]
    try:
        with open(os.open(path, _FLAGS), "rb") as file:
            state = os.fstat(file.fileno())
            content = file.read(largest + 1) if stat.S_ISREG(state.st_mode) else None
    except OSError as error:
        raise ModelError(f"{path.name} of {name!r} cannot be read: {one_line(error)}.") from error
    if content is None:
        raise ModelError(f"{path.name} of {name!r} is no regular file. Put the file itself there.")
    if len(content) > largest:
        raise _too_large(path, name, state.st_size)
    return content


def _too_large(path: Path, name: str, size: int) -> ModelError:
    return ModelError(
        f"{path.name} of {name!r} has {size:,} bytes, and at most {LARGEST_BYTES[path.name]:,} are read. "
        "No published model's is that large; download or save it again."
    )


def _parts(value: Any) -> Iterator[tuple[int, Any]]:
    """Every key and value within `value` and how deep it lies, without recursion."""
    waiting = [(0, value)]
    while waiting:
        depth, part = waiting.pop()
        yield depth, part
        if isinstance(part, dict):
            waiting += [(depth + 1, inner) for pair in part.items() for inner in pair]
        elif isinstance(part, list):
            waiting += [(depth + 1, inner) for inner in part]


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)
