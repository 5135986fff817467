"""A model's files: where they are, whether they are whole, and the fingerprint of their content.

Nothing here imports torch, so a stored result can be recognised before any model is loaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from analysis import demo_model
from analysis.errors import ModelError

#: The catalogue name of the bundled model.
DEMO = "demo"

#: Everything that a tokenizer may be made of.
TOKENIZER_FILES = (
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)
#: Any one of these holds a vocabulary; without one a tokenizer loads silently with no words in it.
_VOCABULARY_FILES = (
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
)

#: What is fetched of a model on the Hub.
_ON_THE_HUB = ("config.json", "*.safetensors", "*.safetensors.index.json", *TOKENIZER_FILES)

_WHAT_A_FOLDER_HOLDS = "A Hugging Face model folder holds config.json, model.safetensors and tokenizer.json."


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model that decide its numbers, all of them present."""

    directory: Path
    config: Path
    weights: tuple[Path, ...]
    tokenizer: tuple[Path, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and contents of all files, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for path in sorted((self.config, *self.weights, *self.tokenizer)):
            state = path.stat()
            digest.update(f"{path.name}:{_content(path, state.st_size, state.st_mtime_ns)}\n".encode())
        return digest.hexdigest()


def find(name: str, *, download: bool = True) -> ModelFiles:
    """The files of `name`: the bundled model, a local folder or a Hugging Face id.

    The Hugging Face cache is looked at before the network. Raises `ModelError` where there is
    no such model, where a file is missing, or, with ``download=False``, where it is not here yet.
    """
    name = name.strip()
    if not name:
        raise ModelError(
            f"No model is named. Give {DEMO!r}, a Hugging Face id such as 'gpt2', or a local folder."
        )
    if name == DEMO:
        return _files(demo_model.DIRECTORY, name)
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            return _files(path, name)
        exists = path.exists()
    except (OSError, RuntimeError) as error:
        raise ModelError(f"The folder {name!r} cannot be read: {error}.") from error
    if exists:
        raise ModelError(f"{name!r} is a file, and a model is a folder. {_WHAT_A_FOLDER_HOLDS}")
    return _from_hub(name, download=download)


def _files(directory: Path, name: str) -> ModelFiles:
    config = directory / "config.json"
    try:
        present = {path.name for path in directory.iterdir()}
    except OSError as error:
        raise ModelError(f"The folder of {name!r} cannot be read: {error}.") from error
    if config.name not in present:
        raise ModelError(f"{name!r} has no config.json. {_WHAT_A_FOLDER_HOLDS}")
    if present.isdisjoint(_VOCABULARY_FILES):
        raise ModelError(
            f"{name!r} has no tokenizer (none of {', '.join(_VOCABULARY_FILES)}). "
            "Save the tokenizer that the model was trained with into the same folder."
        )
    return ModelFiles(
        directory=directory,
        config=config,
        weights=tuple(directory / file for file in _weight_files(directory, present, name)),
        tokenizer=tuple(directory / file for file in TOKENIZER_FILES if file in present),
    )


def _weight_files(directory: Path, present: set[str], name: str) -> list[str]:
    """Names of the weight files in the order of preference that transformers has."""
    if "model.safetensors" in present:
        return ["model.safetensors"]
    index = "model.safetensors.index.json"
    if index not in present:
        pickled = sorted(file for file in present if Path(file).suffix in {".bin", ".pt", ".pth", ".ckpt"})
        found = f" It has {pickled[0]}, a pickle, which can run code and is never loaded." if pickled else ""
        raise ModelError(
            f"{name!r} has no model.safetensors.{found} "
            "Save the model again with save_pretrained(..., safe_serialization=True)."
        )
    shards = read_json(directory / index, name).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(file, str) for file in shards.values()):
        raise ModelError(f"{index} of {name!r} names no weight files. Download or save the model again.")
    missing = sorted(set(shards.values()) - present)
    if missing:
        raise ModelError(
            f"{name!r} lacks {len(missing)} of its {len(set(shards.values()))} weight files "
            f"({missing[0]} is the first). Download or copy the missing files."
        )
    return [index, *sorted(set(shards.values()))]


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The JSON object in `path`, a file of model `name`; `ModelError` where it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name} of {name!r} is not readable JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path.name} of {name!r} holds no JSON object. Download or save the model again.")
    return value


def compute_dtype(config: dict[str, Any]) -> str:
    """float64 stays; all else becomes float32, in which small differences of logits still mean something."""
    stated = config.get("dtype", config.get("torch_dtype"))
    return "float64" if stated == "float64" else "float32"


def check_weights(files: ModelFiles, name: str) -> None:
    """Raise `ModelError` where a weight file is cut off or no safetensors file at all."""
    for path in files.weights:
        if path.suffix != ".safetensors":
            continue
        try:
            with safe_open(path, framework="numpy"):
                pass
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{path.name} of {name!r} is damaged or incomplete ({error}). Download or copy it again."
            ) from error


@lru_cache(maxsize=1024)
def _content(path: Path, size: int, modified_ns: int) -> str:
    """Digest of a file's content; size and time of change tell a rewritten file from the old one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hub(name: str, *, download: bool) -> ModelFiles:
    # Imported late: the Hub's client takes a tenth of a second, and a local model needs none.
    from analysis.models import hub

    try:
        return _files(hub.cached(name, _ON_THE_HUB), name)
    except ModelError:
        if not download:
            raise
    return _files(hub.downloaded(name, _ON_THE_HUB), name)
