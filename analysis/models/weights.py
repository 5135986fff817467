"""A model's weights: which safetensors files hold them, and what their headers say."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from analysis.errors import ModelError
from analysis.models.reading import check_regular, clipped, one_line, read_json, state_of

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

#: Files, tensors and bytes of a file's header that a model may have, each more than the largest published.
MOST_FILES = 1_000
MOST_TENSORS = 100_000
LONGEST_HEADER = 8 * 1024**2

#: A field of config.json with which transformers reads other files than those of the usual names.
_REDIRECTION = "transformers_weights"


def weight_files(directory: Path, present: set[str], config: dict[str, Any], name: str) -> list[str]:
    """Names of the weight files that transformers reads, of the files `present` in `directory`.

    Only safetensors files in `directory` itself, under the usual names; an index comes before the files
    that it names. Raises `ModelError` where there are none, or where other files would be read.
    """
    if config.get(_REDIRECTION) is not None:
        raise ModelError(
            f"config.json of {name!r} says in {_REDIRECTION} that its weights are in "
            f"{clipped(config[_REDIRECTION])}, and only {WEIGHTS} or what {INDEX} names is ever loaded. "
            f"Take the field out, and call the file {WEIGHTS}."
        )
    first = next((file for file in (WEIGHTS, INDEX) if file in present), None)
    if first is None:
        raise _no_weights(present, name)
    if first == WEIGHTS:
        return [first]
    shards = read_json(directory / first, name).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ModelError(f"{first} of {name!r} names no weight files. Download or save the model again.")
    _check_shards([*shards.values()], directory, present, name)
    return [first, *sorted(set(shards.values()))]


def _check_shards(named: list[Any], directory: Path, present: set[str], name: str) -> None:
    """Raise `ModelError` unless the weight files `named` are safetensors and in the model's own folder."""
    for file in named:
        # A name with a separator may lead out of the folder. A link may, too, as in the Hub's cache.
        if not isinstance(file, str) or not file.endswith(".safetensors") or Path(file).name != file:
            raise ModelError(
                f"{INDEX} of {name!r} says that weights are in {clipped(file)}, and only safetensors files "
                "in the model's own folder are ever loaded. Save the model again with "
                "save_pretrained(..., safe_serialization=True)."
            )
    for file in set(named):
        check_regular(directory / file, name)
    missing = sorted(set(named) - present)
    if missing:
        raise ModelError(
            f"{name!r} lacks {len(missing)} of its {len(set(named))} weight files "
            f"({clipped(missing[0])} is the first). Download or copy the missing files."
        )


def _no_weights(present: set[str], name: str) -> ModelError:
    pickled = sorted(file for file in present if Path(file).suffix in {".bin", ".pt", ".pth", ".ckpt"})
    found = f" It has {pickled[0]}, a pickle, which can run code and is never loaded." if pickled else ""
    return ModelError(
        f"{name!r} has no {WEIGHTS}.{found} "
        "Save the model again with save_pretrained(..., safe_serialization=True)."
    )


def count_tensors(files: list[Path], name: str) -> int:
    """How many tensors are in those of `files` that are safetensors.

    Raises `ModelError` where one is cut off or no safetensors file at all, or where there are more files or
    tensors, or a longer header, than any model has.
    """
    if len(files) > MOST_FILES:
        raise ModelError(
            f"{name!r} has {len(files):,} weight files, and at most {MOST_FILES:,} are read. "
            "Save it again with save_pretrained, whose files are larger."
        )
    n_tensors = 0
    for path in files:
        if path.suffix == ".safetensors":
            try:
                n_tensors += _tensors_in(path, *state_of(path))
            except (OSError, SafetensorError) as error:
                raise ModelError(
                    f"{path.name} of {name!r} is damaged or incomplete ({one_line(error)}). "
                    "Download or copy it again."
                ) from error
    if n_tensors > MOST_TENSORS:
        raise ModelError(
            f"{name!r} has {n_tensors:,} weights, and at most {MOST_TENSORS:,} are read. "
            "Choose another model."
        )
    return n_tensors


@lru_cache(maxsize=1024)
def _tensors_in(path: Path, *_state: int) -> int:
    """The number of tensors in a safetensors file; raises `SafetensorError` where it is none."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_HEADER:
        raise SafetensorError(f"its header has {length:,} bytes, and at most {LONGEST_HEADER:,} are read")
    with safe_open(path, framework="numpy") as tensors:
        return len(tensors.keys())
