"""Weights that are no numbers, tokenizers that blow up, and what is unusual and sound."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from safetensors.torch import save_file as save_tensors

from analysis import models
from analysis.errors import PathscopeError
from analysis.experiment.prompts import prepare
from analysis.requests import Experiment
from tests.models.prepared import WEIGHTS, refusal

TOKENIZER = "tokenizer.json"


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
