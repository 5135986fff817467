"""What ships of the model set by hand is what its code writes, small, and loaded like any other model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from analysis import models
from analysis.induction_model import DIRECTORY
from analysis.induction_model.build import main
from analysis.induction_model.examples import EXAMPLES
from analysis.induction_model.tokenizer import build_tokenizer
from analysis.induction_model.words import KNOWN_WORDS
from analysis.models import INDUCTION

FILES = {
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    main(["--output", str(folder)])
    return folder


def test_the_same_code_writes_the_same_files(built: Path):
    assert {path.name for path in built.iterdir()} == FILES
    for name in FILES - {"model.safetensors"}:
        assert (built / name).read_text() == (DIRECTORY / name).read_text(), name
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (built, DIRECTORY))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_weights_are_small_and_no_file_runs_code():
    assert (DIRECTORY / "model.safetensors").stat().st_size < 4_000_000
    shipped = {path.name for path in DIRECTORY.iterdir() if path.suffix not in (".py", "")}
    assert shipped == FILES


def test_the_card_leaves_no_gap_and_names_the_circuit():
    card = (DIRECTORY / "README.md").read_text()
    assert not re.search(r"[{}]", card) and "every weight was set" in card
    assert "**L0H2** attends to the token before" in card and "**L1H3** asks for its own token" in card


def test_it_is_found_by_its_name_and_told_what_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / INDUCTION).mkdir()
    monkeypatch.chdir(tmp_path)  # where a folder has its name
    assert models.find(INDUCTION).config == DIRECTORY / "config.json"
    assert models.fingerprint(INDUCTION) == models.fingerprint(str(DIRECTORY)) != models.fingerprint("demo")
    assert not models.is_from_hub(INDUCTION) and models.before_loading(INDUCTION) is None
    (entry,) = (entry for entry in models.entries() if entry.name == INDUCTION)
    assert entry.description == (
        "Bundled, 2 layers of 4 heads, weights set by hand as an induction circuit: the previous-token head "
        "L0H2 feeds the key of the induction head L1H3, which writes the answer."
    )
    n_parameters = sum(weight.numel() for weight in load_file(DIRECTORY / "model.safetensors").values())
    megabytes = (DIRECTORY / "model.safetensors").stat().st_size / 1e6
    assert (entry.megabytes, entry.millions) == (round(megabytes), round(n_parameters / 1e6))


@pytest.mark.parametrize(
    "text", ["A B C D A", "river ocean", "naïve café — “x” …", "你好 🙂", "  two  spaces\n\t", "\u0000", ""]
)
def test_every_text_comes_back_unchanged(text: str):
    tokenizer = build_tokenizer()
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text and tokenizer.bos_token_id not in ids


def test_every_word_is_one_token_with_and_without_its_space():
    tokenizer = build_tokenizer()
    assert len(set(KNOWN_WORDS)) == len(KNOWN_WORDS) == 62
    forms = [form for word in KNOWN_WORDS for form in (word, f" {word}")]
    assert all(len(tokenizer(form)["input_ids"]) == 1 for form in forms)
    assert len(tokenizer(" banana")["input_ids"]) == len(" banana")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_its_examples_align_and_their_answers_are_one_token(example):
    tokenizer = build_tokenizer()
    clean, corrupted = (tokenizer(text)["input_ids"] for text in (example.clean, example.corrupted))
    assert len(clean) == len(corrupted) and clean != corrupted
    for answer in (example.answer, example.foil):
        assert answer.startswith(" ") and len(tokenizer(answer)["input_ids"]) == 1
