"""Sizes that no model has, in headers, configurations and memory: told before anything is built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from analysis import models
from analysis.models import weights
from tests.families import byte_tokenizer
from tests.models.prepared import WEIGHTS, refusal, split
from tests.models.test_catalogue import change_config

ROOT = Path(__file__).resolve().parent.parent.parent


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
import sys, torch
from pathlib import Path
from analysis import models
from analysis.models import loading
from analysis.models.footprint import bytes_to_load
def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
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


def test_large_numbers_that_are_no_number_of_parts_are_let_through(folder: Path):
    change_config(
        folder,
        vocab_size_per_layer_input=262_144,
        start_header_id=128_006,
        expert_token_id=151_655,
        rope_theta=10_000_000,
    )
    assert models.load(str(folder)).bridge("a").isfinite().all()
