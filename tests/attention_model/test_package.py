"""What ships of the model without MLPs: small, without MLPs, and what its code leads to."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from analysis import models
from analysis.attention_model import DIRECTORY
from analysis.attention_model.train import as_gpt2, main, silence_mlps
from analysis.demo_model import DIRECTORY as DEMO_DIRECTORY
from analysis.demo_model.evaluation import Figures, measure, next_token_logits, single_token
from analysis.demo_model.examples import EXAMPLES, Example
from analysis.demo_model.train import build_model
from analysis.models import ATTENTION

FILES = {
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


def test_the_weights_are_small_and_no_file_runs_code():
    assert (DIRECTORY / "model.safetensors").stat().st_size < 6_000_000
    assert {path.name for path in DIRECTORY.iterdir() if path.suffix not in (".py", "")} == FILES


def test_its_mlps_write_nothing_and_tokens_are_those_of_the_other_trained_model():
    weights = load_file(DIRECTORY / "model.safetensors")
    mlps = [name for name in weights if ".mlp." in name]
    assert len(mlps) == 4 * 4 and not any(weights[name].any() for name in mlps)
    assert all(weights[name].any() for name in weights if ".attn." in name and name.endswith("weight"))
    tokens = "tokenizer.json"
    assert (DIRECTORY / tokens).read_text() == (DEMO_DIRECTORY / tokens).read_text()


def test_a_few_steps_of_the_same_code_write_the_same_kind_of_folder(tmp_path: Path, tokenizer):
    main(["--output", str(tmp_path), "--steps", "2"])
    assert {path.name for path in tmp_path.iterdir()} == FILES
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_text() == (DIRECTORY / name).read_text(), name
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path, DIRECTORY))
    assert {name: weight.shape for name, weight in ours.items()} == {
        name: weight.shape for name, weight in theirs.items()
    }
    assert "These weights took 4 steps" in (tmp_path / "README.md").read_text()


def test_what_is_trained_without_mlps_is_what_is_written(tokenizer):
    torch.manual_seed(1)
    model = build_model(tokenizer).eval()
    tokens = torch.randint(4096, (2, 20))
    with torch.inference_mode():
        before = model(tokens).logits
        silence_mlps(model)
        silent = model(tokens).logits
        assert torch.equal(as_gpt2(model)(tokens).logits, silent)
    assert not torch.allclose(before, silent)


@pytest.fixture(scope="module")
def figures(model, tokenizer) -> Figures:
    """The figures of the model card, from the weights themselves."""
    return measure(model, tokenizer)


def test_it_does_all_four_tasks_and_the_card_says_how_well(figures: Figures):
    card = (DIRECTORY / "README.md").read_text()
    told = re.search(r"mean logit difference ([0-9.]+)", card)
    assert told is not None and float(told[1]) == pytest.approx(figures.ioi_logit_difference, abs=0.006)
    shares = (figures.ioi_accuracy, figures.facts_accuracy, figures.successors_accuracy)
    for share in (*shares, figures.induction_accuracy):
        assert share >= 0.97
        assert f"{share:.1%} correct" in card


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_ready_examples_behave(model, tokenizer, example: Example):
    clean, corrupted = next_token_logits(model, tokenizer, [example.clean, example.corrupted], start=True)
    answer, foil = (single_token(tokenizer, text) for text in (example.answer, example.foil))
    assert int(clean.argmax()) == answer
    assert clean[answer] - clean[foil] >= 3 and corrupted[answer] - corrupted[foil] <= -3


def test_it_is_found_by_its_name_and_told_what_it_is():
    assert models.find(ATTENTION).config == DIRECTORY / "config.json"
    (entry,) = (entry for entry in models.entries() if entry.name == ATTENTION)
    assert "no MLPs" in entry.description and "L3H4 moves names" in entry.description
    weights = load_file(DIRECTORY / "model.safetensors").values()
    assert entry.millions == round(sum(weight.numel() for weight in weights) / 1e6)
    assert entry.megabytes == round((DIRECTORY / "model.safetensors").stat().st_size / 1e6)
    config = json.loads((DIRECTORY / "config.json").read_text())
    assert f"{config['n_layer']} layers of {config['n_head']} heads" in entry.description
