"""Folders prepared to hang, to fill memory or to break a page: each is told in a sentence."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import models
from analysis.errors import ModelError
from analysis.models.reading import LARGEST_BYTES, read_json
from tests.models.prepared import INDEX, WEIGHTS, refusal, split
from tests.models.test_catalogue import change_config

CONFIG, TOKENIZER = "config.json", "tokenizer.json"


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def an_endless_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("file", [CONFIG, WEIGHTS, TOKENIZER, "tokenizer_config.json", "vocab.json"])
@pytest.mark.parametrize(
    ("instead", "kind"),
    [(a_pipe, "a named pipe"), (a_socket, "a socket"), (an_endless_device, "a device")],
)
def test_what_may_never_end_is_not_opened(
    file: str, instead: Callable[[Path], None], kind: str, folder: Path
):
    (folder / file).unlink(missing_ok=True)
    instead(folder / file)
    assert f"{file} of {str(folder)!r} is {kind}, and only regular files are read" in refusal(folder)


@pytest.mark.parametrize("file", [INDEX, "part-1.safetensors"])
def test_neither_index_nor_shard_is_a_pipe(file: str, folder: Path):
    split(folder)
    (folder / file).unlink()
    a_pipe(folder / file)
    assert f"{file} of {str(folder)!r} is a named pipe" in refusal(folder)


def test_a_pipe_that_takes_a_files_place_after_the_check_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    (folder / CONFIG).unlink()
    a_pipe(folder / CONFIG)
    monkeypatch.setattr("analysis.models.reading.check_regular", lambda path, name: None)
    with pytest.raises(ModelError, match=r"config\.json of 'it' is no regular file"):
        read_json(folder / CONFIG, "it")


@pytest.mark.parametrize("file", LARGEST_BYTES)
def test_a_file_larger_than_any_models_is_not_read(file: str, folder: Path):
    split(folder)
    (folder / file).touch()
    os.truncate(folder / file, LARGEST_BYTES[file] + 1)
    found = refusal(folder)
    assert f"{file} of" in found
    assert f"has {LARGEST_BYTES[file] + 1:,} bytes, and at most {LARGEST_BYTES[file]:,} are read" in found


def test_a_file_that_grows_after_the_check_is_read_no_further(folder: Path, monkeypatch: pytest.MonkeyPatch):
    os.truncate(folder / CONFIG, LARGEST_BYTES[CONFIG] + 1)
    monkeypatch.setattr("analysis.models.reading.check_regular", lambda path, name: None)
    with pytest.raises(ModelError, match="at most 1,048,576 are read"):
        read_json(folder / CONFIG, "it")


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("file", [CONFIG, "tokenizer_config.json"])
@pytest.mark.parametrize("levels", [60, 900])
def test_what_nests_deeper_than_any_model_is_refused(file: str, levels: int, folder: Path):
    fields = json.loads((folder / file).read_text()) | {"extra": nested(levels)}
    (folder / file).write_text(json.dumps(fields))
    assert f"{file} of {str(folder)!r} nests lists and objects more than 50 deep" in refusal(folder)


@pytest.mark.parametrize("file", [CONFIG, "tokenizer_config.json"])
@pytest.mark.parametrize(
    "fields", [{"model_type": "gpt\ud800"}, {"\udfff": 1}, {"a": [{"b": "x\udc00"}]}, {"a": "\ud800" * 1000}]
)
def test_half_a_surrogate_pair_is_refused(file: str, fields: dict, folder: Path):
    changed = json.loads((folder / file).read_text()) | fields
    (folder / file).write_text(json.dumps(changed))
    assert f"{file} of {str(folder)!r} holds half a surrogate pair" in refusal(folder)


def test_a_whole_surrogate_pair_is_text(folder: Path):
    change_config(folder, note="\U0001f600")
    assert "\\ud83d\\ude00" in (folder / CONFIG).read_text()
    assert models.load(str(folder)).bridge("a").isfinite().all()
