"""What goes to a worker and comes back: JSON and arrays as the bytes of one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import safetensors.numpy

from analysis import errors
from analysis.errors import PathscopeError, Remedy

Words = dict[str, Any]
Arrays = dict[str, np.ndarray]

#: Under which name the JSON lies among the arrays, whose own names have a letter before them.
_WORDS, _ARRAY = "json", "a"
#: Under which name a refusal stands in the JSON.
_REFUSED = "refused"


def sealed(words: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """`words`, which must be JSON, and `arrays` as bytes; `opened` is the inverse."""
    tensors = {f"{_ARRAY}{name}": np.asarray(array, order="C") for name, array in (arrays or {}).items()}
    text = np.frombuffer(json.dumps(dict(words)).encode(), dtype=np.uint8)
    return safetensors.numpy.save({_WORDS: text, **tensors})


def opened(letter: bytes) -> tuple[Words, Arrays]:
    """The words and the arrays of a letter. Raises the `PathscopeError` that a refusal holds."""
    tensors = safetensors.numpy.load(bytes(letter))
    words = json.loads(tensors.pop(_WORDS).tobytes())
    if _REFUSED in words:
        raise _error(**words[_REFUSED])
    return words, {name.removeprefix(_ARRAY): array for name, array in tensors.items()}


def refusal(error: PathscopeError) -> bytes:
    """`error` as a letter, with its kind and its remedies."""
    remedies = [asdict(remedy) for remedy in error.remedies]
    return sealed({_REFUSED: {"kind": type(error).__name__, "said": str(error), "remedies": remedies}})


def _error(kind: str, said: str, remedies: list[dict[str, str]]) -> PathscopeError:
    made = getattr(errors, kind, None)
    if not (isinstance(made, type) and issubclass(made, PathscopeError)):
        made = PathscopeError
    return made(said, *(Remedy(**remedy) for remedy in remedies))
