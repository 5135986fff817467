"""A model's files: where they are, whether they are whole, and the fingerprint of their content.

Nothing here imports torch, so a stored result can be recognised before any model is loaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from analysis.errors import ModelError, Remedy
from analysis.models.offered import BUNDLED, DEMO, entries, nearest, size
from analysis.models.reading import LARGEST_BYTES, check_regular, read_json, state_of
from analysis.models.sizes import check_sizes
from analysis.models.weights import WEIGHTS, count_tensors, weight_files
from analysis.policy import policy

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

_ADAPTER = "adapter_config.json"

#: What is fetched of a model on the Hub.
_ON_THE_HUB = ("config.json", "*.safetensors", "*.safetensors.index.json", *TOKENIZER_FILES)

#: How many models of this machine an error names.
_NAMED = 5
#: Characters of a path, where systems end.
_LONGEST_NAME = 4_096

_WHAT_A_FOLDER_HOLDS = "A Hugging Face model folder holds config.json, model.safetensors and tokenizer.json."


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model that decide its numbers, all of them present, and in what it is computed.

    An index of weights stands among `weights`, before the files that it names.
    """

    config: Path
    weights: tuple[Path, ...]
    tokenizer: tuple[Path, ...]
    dtype: Literal["float32", "float64"]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and contents of all files, as 64 hexadecimal digits. Raises `ModelError`."""
        digest = hashlib.sha256()
        for path in sorted((self.config, *self.weights, *self.tokenizer)):
            try:
                content = _content(path, *state_of(path))
            except OSError as error:
                raise ModelError(f"The file {str(path)!r} cannot be read: {error}.") from error
            digest.update(f"{path.name}:{content}\n".encode())
        return digest.hexdigest()


def find(name: str, *, download: bool = True) -> ModelFiles:
    """The files of `name`: a bundled model, a local folder or a Hugging Face id.

    The Hugging Face cache is looked at before the network. Raises `ModelError` where there is
    no such model, where a file is missing, or, with ``download=False``, where it is not here yet; where the
    policy names the models, for any other name, whatever there is.
    """
    name, rules = name.strip(), policy()
    rules.check_model(name, tuple(BUNDLED))
    if len(name) > _LONGEST_NAME:
        raise ModelError(
            f"The name of a model has at most {_LONGEST_NAME:,} characters, and this one has {len(name):,}. "
            f"Give {DEMO!r}, a Hugging Face id such as 'gpt2', or a local folder."
        )
    if not name:
        raise ModelError(
            f"No model is named. Give {DEMO!r}, a Hugging Face id such as 'gpt2', or a local folder."
        )
    if name in BUNDLED:
        return _files(BUNDLED[name], name)
    if rules.models is not None:
        return _from_hub(name, download=False)
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


def fetched(name: str) -> ModelFiles:
    """The files of `name` on the Hub, brought into the Hugging Face cache whatever the policy is.

    For whoever prepares a server, never on behalf of a visitor. Raises `ModelError`.
    """
    return _from_hub(name, download=True)


def is_from_hub(name: str) -> bool:
    """Whether `name` is looked for on the Hub: it is neither a bundled model nor a folder here.

    What is known of a model by its id is known of no folder that somebody gave the same name.
    """
    name = name.strip()
    if (models := policy().models) is not None:
        return name in models
    try:
        return bool(name) and name not in BUNDLED and not Path(name).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def _files(directory: Path, name: str) -> ModelFiles:
    """As `_checked`, which goes through the files again only when one of them has another state."""
    try:
        states = tuple((path.name, *state_of(path)) for path in sorted(directory.iterdir()))
    except OSError:  # said of the file that it is about
        return _checked.__wrapped__(directory, name, ())
    return _checked(directory, name, states)


@lru_cache(maxsize=64)
def _checked(directory: Path, name: str, _states: tuple[tuple[str | int, ...], ...]) -> ModelFiles:
    config = directory / "config.json"
    for file in (*LARGEST_BYTES, WEIGHTS):
        check_regular(directory / file, name)
    try:
        present = {path.name for path in directory.iterdir() if path.is_file()}
    except OSError as error:
        raise ModelError(f"The folder of {name!r} cannot be read: {error}.") from error
    if config.name not in present:
        raise ModelError(f"{name!r} has no config.json. {_WHAT_A_FOLDER_HOLDS}")
    if present.isdisjoint(_VOCABULARY_FILES):
        raise ModelError(
            f"{name!r} has no tokenizer (none of {', '.join(_VOCABULARY_FILES)}). "
            "Save the tokenizer that the model was trained with into the same folder."
        )
    if _ADAPTER in present:
        raise ModelError(
            f"{name!r} holds an adapter ({_ADAPTER}), which would be added to its weights. Merge it "
            "(merge_and_unload) and save the model, or move the adapter's files to a folder of their own."
        )
    fields = read_json(config, name)
    weights = [directory / file for file in weight_files(directory, present, fields, name)]
    check_sizes(fields, count_tensors(weights, name), name)
    return ModelFiles(
        config=config,
        weights=tuple(weights),
        tokenizer=tuple(directory / file for file in TOKENIZER_FILES if file in present),
        dtype=compute_dtype(fields),
    )


def compute_dtype(config: dict[str, Any]) -> Literal["float32", "float64"]:
    """float64 stays; all else becomes float32, in which small differences of logits still mean something."""
    stated = config.get("dtype", config.get("torch_dtype"))
    return "float64" if stated == "float64" else "float32"


@lru_cache(maxsize=1024)
def _content(path: Path, *_state: int) -> str:
    """Digest of a file's content; its state tells a rewritten file from the old one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hub(name: str, *, download: bool) -> ModelFiles:
    # Imported late: the Hub's client takes a tenth of a second, and a local model needs none.
    from analysis.models import hub

    try:
        return _files(hub.cached(name, _ON_THE_HUB), name)
    except ModelError as error:
        if not download:
            raise
        not_whole = error
    try:
        folder = hub.downloaded(name, _ON_THE_HUB)
    except hub.NotReachedError as not_reached:
        # What is wrong with files that are here says more than that no others can be had.
        if not isinstance(not_whole, hub.NotCachedError):
            raise not_whole from None
        raise _with_other_names(not_reached, name, hub.on_this_machine()) from None
    except hub.NoSuchModelError as error:
        raise _with_other_names(error, name, hub.on_this_machine()) from None
    return _files(folder, name)


def _with_other_names(error: ModelError, name: str, here: tuple[str, ...]) -> ModelError:
    """`error`, with what else may have been meant by `name`, and what needs no network."""
    meant = nearest(name, here)
    sizes = {entry.name: size(entry.megabytes) for entry in entries()}
    told = [f"{other!r} ({sizes[other]})" if other in sizes else repr(other) for other in meant]
    sentences = [str(error)]
    if told:
        sentences.append(f"Did you mean {' or '.join(told)}?")
    named = ", ".join(map(repr, (*BUNDLED, *here[:_NAMED])))
    more = f" and {len(here) - _NAMED} more" * (len(here) > _NAMED)
    sentences.append(f"On this machine: {named}{more}.")
    return ModelError(
        " ".join(sentences), *(Remedy(f"Use {other!r}", field="model", value=other) for other in meant)
    )
