"""Folders of models, prepared: those that load with exactly the files named, and those that must not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from analysis import models
from analysis.errors import ModelError
from tests.models.test_catalogue import change_config

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER = {"tokenizer.json", "tokenizer_config.json"}
Prepare = Callable[[Path], object]


def refusal(folder: Path) -> str:
    """The sentence with which `folder` is refused, one that a page can show."""
    with pytest.raises(ModelError) as refused:
        models.load(str(folder))
    sentence = str(refused.value)
    assert str(folder) in sentence and "\n" not in sentence
    assert len(sentence) < 1000
    sentence.encode("utf-8")
    return sentence


def scaled(folder: Path, name: str, by: float) -> None:
    """Write the folder's weights times `by` as the file `name`."""
    weights = {key: by * value for key, value in load_file(folder / WEIGHTS).items()}
    save_file(weights, folder / name, {"format": "pt"})


def split(folder: Path, keep: bool = False) -> None:
    """Write the weights as two files and an index of them."""
    weights = load_file(folder / WEIGHTS)
    files = {key: f"part-{number % 2}.safetensors" for number, key in enumerate(weights)}
    for file in set(files.values()):
        save_file(
            {key: weights[key] for key in weights if files[key] == file}, folder / file, {"format": "pt"}
        )
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": files}))
    if not keep:
        (folder / WEIGHTS).unlink()


def named(folder: Path, name: Any) -> None:
    change_config(folder, transformers_weights=name)


def decoys(folder: Path) -> None:
    """Files that transformers reads in the place of others, or in addition."""
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    scaled(folder, "shard-00000-model-00001-of-00001.safetensors", 3.0)
    scaled(folder, "adapter_model.safetensors", 3.0)
    for name in ("generation_config.json", "chat_template.jinja", "custom_generate.py", "model.gguf"):
        (folder / name).write_text("{}")


def tokenizers_of_other_releases(folder: Path) -> None:
    (folder / "tokenizer.4.0.0.json").write_text("{}")
    fields = {
        "fast_tokenizer_files": ["tokenizer.json", "tokenizer.4.0.0.json"],
        "tokenizer_file": str(folder / "elsewhere.json"),
        "vocab_file": str(folder / "elsewhere.json"),
    }
    shutil.copy(folder / "tokenizer.json", folder / "elsewhere.json")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def as_in_the_hubs_cache(folder: Path) -> None:
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for path in list(folder.iterdir()):
        shutil.move(path, blobs / f"digest-of-{path.name}")
        path.symlink_to(Path("..", "blobs", f"digest-of-{path.name}"))


LOADED: dict[str, tuple[Prepare, set[str]]] = {
    "one file": (lambda f: None, {WEIGHTS}),
    "an index": (split, {INDEX, "part-0.safetensors", "part-1.safetensors"}),
    "one file beside an index": (lambda f: split(f, keep=True), {WEIGHTS}),
    "no file named": (lambda f: named(f, None), {WEIGHTS}),
    "decoys beside it": (decoys, {WEIGHTS}),
    "tokenizers of other releases": (tokenizers_of_other_releases, {WEIGHTS}),
}


REDIRECTED = "says in transformers_weights .* and only model.safetensors or what .* is ever loaded"
NOT_OURS = "only safetensors files in the model's own folder are ever loaded"
DEEP = "[" * 100_000


def naming(name: Any) -> Prepare:
    """The configuration names `name`, ``{}`` in it being the folder; there are pickles and a file above."""

    def prepare(folder: Path) -> None:
        decoys(folder)
        shutil.copy(folder / WEIGHTS, folder.parent / "x.safetensors")
        scaled(folder, "other.safetensors", 2.0)
        named(folder, name.format(folder) if isinstance(name, str) else name)

    return prepare


def indexing(files: Any) -> Prepare:
    """The index names `files`, and there are pickles and a file above."""

    def prepare(folder: Path) -> None:
        decoys(folder)
        (folder / WEIGHTS).rename(folder.parent / "x.safetensors")
        text = json.dumps({"metadata": {}, "weight_map": files}).replace("{folder}", str(folder))
        (folder / INDEX).write_text(text)

    return prepare


def endless_index(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(DEEP)


def index_without_metadata(folder: Path) -> None:
    split(folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "part-0.safetensors"}}))


def adapted(folder: Path) -> None:
    decoys(folder)
    (folder / "adapter_config.json").write_text("{}")


def configured_for_another_release(folder: Path) -> None:
    shutil.copy(folder / "config.json", folder / "config.4.0.0.json")
    change_config(folder, configuration_files=["config.4.0.0.json"])


def a_folder_for_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()


def a_link_to_nowhere(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to("nowhere")


REFUSED: dict[str, tuple[Prepare, str]] = {
    "another file named": (naming("other.safetensors"), REDIRECTED),
    "another index named": (naming("other.safetensors.index.json"), REDIRECTED),
    "the usual file named": (naming(WEIGHTS), REDIRECTED),
    "a pickle named": (naming("pytorch_model.bin"), REDIRECTED),
    "a file above named": (naming("../x.safetensors"), REDIRECTED),
    "a path named": (naming("{}/model.safetensors"), REDIRECTED),
    "a file below named": (naming("sub/model.safetensors"), REDIRECTED),
    "a number named": (naming(5), REDIRECTED),
    "nothing named": (naming(""), REDIRECTED),
    "an index of a pickle": (indexing({"a": "pytorch_model.bin"}), NOT_OURS),
    "an index of a file above": (indexing({"a": "../x.safetensors"}), NOT_OURS),
    "an index of a path": (indexing({"a": "{folder}/../x.safetensors"}), NOT_OURS),
    "an index of numbers": (indexing({"a": 5}), NOT_OURS),
    "an index of lists": (indexing({"a": [WEIGHTS]}), NOT_OURS),
    "an empty index": (indexing({}), "names no weight files"),
    "an index that is a list": (indexing(["a"]), "names no weight files"),
    "an index without an end": (endless_index, "not readable JSON"),
    "an index without metadata": (index_without_metadata, "could not be loaded"),
    "a configuration without an end": (lambda f: (f / "config.json").write_text(DEEP), "not readable JSON"),
    "a tokenizer without an end": (
        lambda f: (f / "tokenizer_config.json").write_text(DEEP),
        "tokenizer_config.json of .* is not readable JSON",
    ),
    "an adapter": (adapted, "holds an adapter .adapter_config.json.*merge_and_unload"),
    "a configuration for another release": (configured_for_another_release, "could not be loaded"),
    "a quantisation that is not here": (
        lambda f: change_config(
            f, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}
        ),
        "could not be loaded",
    ),
    "heads that do not divide the width": (
        lambda f: change_config(f, n_head=5),
        "could not be loaded|cannot open",
    ),
    "a folder for weights": (a_folder_for_weights, "has no model.safetensors"),
    "a link to nowhere": (a_link_to_nowhere, "has no model.safetensors"),
}
