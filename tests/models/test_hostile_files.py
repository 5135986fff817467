"""Folders prepared to hang, to fill memory or to break a page: each is told in a sentence."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from safetensors.torch import save_file as save_tensors
from transformers import AutoConfig, AutoModelForCausalLM

from analysis import models
from analysis.errors import ModelError, PathscopeError
from analysis.experiment.prompts import prepare
from analysis.models import weights
from analysis.models.reading import LARGEST_BYTES, read_json
from analysis.requests import Experiment
from tests.families import byte_tokenizer
from tests.models.prepared import INDEX, WEIGHTS, split
from tests.models.test_catalogue import change_config

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG, TOKENIZER = "config.json", "tokenizer.json"


def refusal(folder: Path) -> str:
    """The sentence with which `folder` is refused, by look-up and loading alike or by loading alone."""
    with pytest.raises(ModelError) as refused:
        models.load(str(folder))
    sentence = str(refused.value)
    assert str(folder) in sentence and "\n" not in sentence
    assert len(sentence) < 1000
    sentence.encode("utf-8")
    return sentence


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


# Headers


def with_header(folder: Path, length: int, content: bytes = b"") -> None:
    (folder / WEIGHTS).write_bytes(length.to_bytes(8, "little") + content)


@pytest.mark.parametrize("length", [weights.LONGEST_HEADER + 1, 2**40, 2**64 - 1])
def test_a_header_longer_than_any_models_is_not_read(length: int, folder: Path):
    with_header(folder, length)
    os.truncate(folder / WEIGHTS, 20 * 1024**3)
    assert f"its header has {length:,} bytes, and at most 8,388,608 are read" in refusal(folder)


def test_twenty_empty_gigabytes_are_neither_read_nor_hashed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("analysis.models.files.hashlib.file_digest", None)
    os.truncate(folder / WEIGHTS, 0)
    os.truncate(folder / WEIGHTS, 20 * 1024**3)
    assert "damaged or incomplete" in refusal(folder)


def test_more_tensors_than_any_model_has_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weights, "MOST_TENSORS", 39)
    assert "has 40 weights, and at most 39 are read" in refusal(folder)
    split(folder)
    assert "has 40 weights, and at most 39 are read" in refusal(folder)


def test_more_weight_files_than_any_model_has_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weights, "MOST_FILES", 2)
    split(folder)
    assert "has 3 weight files, and at most 2 are read" in refusal(folder)


def test_a_million_tensors_do_not_fit_into_a_header(folder: Path):
    (folder / WEIGHTS).unlink()
    save_file({f"{number}": np.zeros(0, np.float32) for number in range(200_000)}, folder / WEIGHTS)
    assert "its header has" in refusal(folder)


# Sizes


@pytest.mark.parametrize(
    "fields",
    [
        {"n_layer": -1},
        {"n_layer": 0},
        {"n_embd": -32},
        {"n_head": 0},
        {"vocab_size": -1},
        {"n_positions": -5},
        {"n_inner": -1},
        {"num_hidden_layers": -2},
        {"text_config": {"hidden_size": -(10**50)}},
    ],
)
def test_a_size_that_no_model_can_have_is_refused(fields: dict, folder: Path):
    change_config(folder, **fields)
    assert f"config.json of {str(folder)!r} says " in (found := refusal(folder))
    assert " and it is at least " in found


@pytest.mark.parametrize(
    "fields",
    [
        {"n_layer": 10_000},
        {"num_hidden_layers": 10**12},
        {"num_labels": 10**9},
        {"n_head": 10**9},
        {"num_experts": 10**9},
        {"attention_types": [[["global"], 10**9]]},
        {"text_config": {"n_layers": 5000}},
    ],
)
def test_more_parts_than_any_model_has_are_refused_before_anything_is_built(
    fields: dict, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("analysis.models.catalogue._load", None)
    change_config(folder, **fields)
    found = refusal(folder)
    assert f"config.json of {str(folder)!r} asks for " in found and "are built" in found


def test_more_layers_than_tensors_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("analysis.models.catalogue._load", None)
    change_config(folder, n_layer=1000)
    assert "asks for 1,000 layers, and its weights are 40 tensors" in refusal(folder)


# Memory


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({"vocab_size": 10**9}, "834.5 GiB"),
        ({"n_embd": 40_000}, "751.4 GiB"),
        ({"n_positions": 10**9}, "417.2 GiB"),
    ],
)
def test_what_does_not_fit_into_memory_is_refused_with_the_number_before_it_is_read(
    fields: dict, needed: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATHSCOPE_MEMORY_BYTES", str(8 * 1024**3))
    monkeypatch.setattr("analysis.models.loading._read", None)
    change_config(folder, **fields)
    found = refusal(folder)
    assert f"needs about {needed} of memory while it is loaded, and " in found
    assert found.endswith("or allow more (PATHSCOPE_MEMORY_BYTES).")


def test_a_size_beyond_any_number_of_bytes_is_a_sentence(folder: Path):
    change_config(folder, n_embd=2**40)
    assert "could not be loaded" in refusal(folder)


def test_the_memory_that_is_asked_for_counts_a_shared_embedding_twice(folder: Path):
    from analysis.models.footprint import COPIES, bytes_to_load

    stored = sum(weight.numel() for weight in load_file(folder / WEIGHTS).values())
    embedding = load_file(folder / WEIGHTS)["transformer.wte.weight"].numel()
    for dtype, size in ((torch.float32, 4), (torch.float64, 8)):
        assert bytes_to_load(folder, dtype) == round(COPIES * size * (stored + embedding))


LOADS = """
import resource, sys, torch
from pathlib import Path
from analysis import models
from analysis.models import loading
from analysis.models.footprint import bytes_to_load
def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
models.load("demo")
folder, before = Path(sys.argv[1]), most()
models.load(str(folder))
print(most() - before, bytes_to_load(folder, torch.float32))
"""


@pytest.mark.parametrize(
    ("model_type", "sizes"),
    [
        ("gpt2", {"n_embd": 384, "n_layer": 3, "n_head": 8, "vocab_size": 30_000, "n_positions": 64}),
        (
            "llama",
            {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 12, "vocab_size": 320},
        ),
    ],
)
def test_loading_takes_no_more_memory_than_it_asked_for(model_type: str, sizes: dict, tmp_path: Path):
    config = AutoConfig.for_model(model_type, **sizes, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", LOADS, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    taken, asked = map(int, run.stdout.split())
    assert asked / 3 < taken <= asked


# Weights that are no numbers


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_named(value: float, folder: Path):
    tensors = load_file(folder / WEIGHTS)
    tensors["transformer.h.1.mlp.c_fc.weight"][3, 4] = value
    save_tensors(tensors, folder / WEIGHTS, {"format": "pt"})
    found = refusal(folder)
    assert "has NaN or infinity in 1 of its weights (transformer.h.1.mlp.c_fc.weight)" in found
    tensors = {key: torch.full_like(tensor, value) for key, tensor in tensors.items()}
    save_tensors(tensors, folder / WEIGHTS, {"format": "pt"})
    assert "and 38 more)" in refusal(folder)


def test_a_double_too_large_for_single_precision_is_not_finite(folder: Path):
    tensors = {key: tensor.double() for key, tensor in load_file(folder / WEIGHTS).items()}
    tensors["transformer.ln_f.weight"][0] = 1e300
    save_tensors(tensors, folder / WEIGHTS, {"format": "pt"})
    assert "has NaN or infinity in 1 of its weights (transformer.ln_f.weight)" in refusal(folder)


def test_finite_weights_with_which_nothing_finite_is_predicted_are_refused(folder: Path):
    tensors = load_file(folder / WEIGHTS)
    tensors["transformer.h.0.attn.c_attn.weight"] += 1e38
    save_tensors(tensors, folder / WEIGHTS, {"format": "pt"})
    assert "predicts no finite numbers" in refusal(folder)


# Tokenizers that make texts longer


def replacing(string: str, content: str) -> dict:
    return {"type": "Replace", "pattern": {"String": string}, "content": content}


def table_with(text: bytes) -> dict:
    table = (8).to_bytes(4, "little") + bytes(8) + b"a\0" + text + b"\0"
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
GROWING = {
    "one letter by two, and so on": ("normalizer", [replacing("a", "aa")] * 30, "1.07e+09"),
    "one letter by many": ("normalizer", [replacing("a", "b" * 2000)], "2e+03"),
    "a sequence of sequences": (
        "normalizer",
        [{"type": "Sequence", "normalizers": [replacing("a", "b" * 50)] * 2}] * 2,
        "6.25e+06",
    ),
    "nothing by something": (
        "normalizer",
        [{"type": "Replace", "pattern": {"Regex": ""}, "content": "abc"}] * 6,
        "4.1e+03",
    ),
    "more than there are numbers": ("normalizer", [replacing("a", "b" * 1000)] * 900, "1e+100"),
    "a table": ("normalizer", [table_with(b"b" * 5000)], "5e+03"),
    "bytes of bytes": ("pre_tokenizer", [BYTES] * 20, "1.1e+12"),
    "a decoder": ("decoder", [replacing("a", "aa")] * 30, "1.07e+09"),
}


def tokenizing(folder: Path, step: str, steps: list[dict]) -> None:
    inner = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders"}[step]
    fields = json.loads((folder / TOKENIZER).read_text()) | {step: {"type": "Sequence", inner: steps}}
    if step != "pre_tokenizer":
        fields["pre_tokenizer"] = None
    (folder / TOKENIZER).write_text(json.dumps(fields))


@pytest.mark.parametrize("case", GROWING)
def test_a_tokenizer_that_makes_texts_far_longer_is_refused(case: str, folder: Path):
    step, steps, growth = GROWING[case]
    tokenizing(folder, step, steps)
    found = refusal(folder)
    assert f"may make a text {growth} times as long, and at most 1,000 times are let through" in found


@pytest.mark.parametrize(
    "steps",
    [
        [{"type": "Prepend", "prepend": "\u2581"}, replacing(" ", "\u2581")],
        [{"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}],
        [replacing("``", '"'), replacing("''", '"'), {"type": "NFKD"}, {"type": "Lowercase"}],
    ],
)
def test_the_steps_of_published_tokenizers_are_let_through(steps: list[dict], folder: Path):
    tokenizing(folder, "normalizer", steps)
    assert models.load(str(folder)).bridge("a").isfinite().all()


# What is unusual and sound


def test_the_same_weights_with_another_tokenizer_are_another_model(folder: Path, tmp_path: Path):
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    fields = json.loads((other / TOKENIZER).read_text())
    vocabulary = fields["model"]["vocab"]
    vocabulary["b"], vocabulary["c"] = vocabulary["c"], vocabulary["b"]
    (other / TOKENIZER).write_text(json.dumps(fields))
    first, second = models.load(str(folder)), models.load(str(other))
    assert first.fingerprint != second.fingerprint
    torch.testing.assert_close(first.bridge("ab"), second.bridge("ac"))


def test_a_tokenizer_with_more_ids_than_the_model_loads_and_its_last_ids_are_told(folder: Path):
    fields = json.loads((folder / TOKENIZER).read_text())
    fields["added_tokens"].append(
        fields["added_tokens"][0] | {"id": 400, "content": "<extra>", "special": False}
    )
    (folder / TOKENIZER).write_text(json.dumps(fields))
    bridge = models.load(str(folder)).bridge
    assert bridge("a b").isfinite().all()
    with pytest.raises(PathscopeError):
        prepare(bridge, Experiment(str(folder), "a <extra>", "a b", " e", " f"))
