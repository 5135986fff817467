"""Training writes a complete, loadable folder, and weighs tokens as it says."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from analysis.demo_model import DIRECTORY
from analysis.demo_model.batches import (
    LONGEST,
    REPEAT_LENGTH,
    repeat_batches,
    text_batches,
    token_weights,
)
from analysis.demo_model.corpus import Passage, training_passages
from analysis.demo_model.train import STEPS, WARM_UP, learning_rate_factor, main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that two steps of training have filled."""
    path = tmp_path_factory.mktemp("trained")
    main(["--output", str(path), "--steps", "2"])
    return path


def test_trained_folder_loads(folder: Path) -> None:
    """The model and its tokenizer come back through the usual front door."""
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer("The Eiffel Tower is in", return_tensors="pt")["input_ids"]
    assert model(tokens).logits.shape == (1, 5, len(tokenizer))


def test_trained_folder_has_a_card(folder: Path) -> None:
    """The card tells the steps and leaves no gap unfilled."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "took 4 steps" in card
    assert "license: mit" in card
    assert "- `When {A} and {B} went to the {place}, {S} {gave} {a} {object} to`" in card


def test_shipped_configuration_is_the_one_that_the_code_writes(folder: Path) -> None:
    """Nothing about the shipped model was changed by hand."""
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        assert (folder / name).read_text(encoding="utf-8") == (DIRECTORY / name).read_text(encoding="utf-8")


def test_token_weights_follow_the_pieces(tokenizer: PreTrainedTokenizerFast) -> None:
    """A token has the weight of the piece it lies in."""
    passage = Passage((("The Eiffel Tower is in", 0.2), (" Paris", 1.0), (".", 0.2)))
    offsets = tokenizer(passage.text, return_offsets_mapping=True)["offset_mapping"]
    assert token_weights(passage, offsets) == [0.2] * 5 + [1.0, 0.2]


def test_batches_keep_to_their_limits(tokenizer: PreTrainedTokenizerFast) -> None:
    """Rows fit the model, batches fit the budget, and nothing is predicted from nothing."""
    batches = text_batches(training_passages(1), tokenizer, seed=1, tokens_per_batch=512)
    for _, batch in zip(range(50), batches, strict=False):
        assert batch.tokens.shape == batch.weights.shape
        assert batch.tokens.shape[1] <= LONGEST
        assert batch.tokens.numel() <= 512
        assert torch.all(batch.weights[:, 0] == 0)
        assert batch.weights.sum() > 0


def test_repeats_fill_their_rows(tokenizer: PreTrainedTokenizerFast) -> None:
    """As many rows as the budget allows, as long as each other, weighted where they can be known."""
    for batch in repeat_batches(tokenizer, seed=1, tokens_per_batch=[512, 1024]):
        assert batch.tokens.shape[1] <= REPEAT_LENGTH + 1
        assert set(batch.weights.unique().tolist()) == {0.0, 1.0}
    assert batch.tokens.shape[0] == 1024 // REPEAT_LENGTH


def test_learning_rate_rises_then_falls() -> None:
    """From nearly nothing to the full rate and back down."""
    factors = [learning_rate_factor(step, STEPS, WARM_UP) for step in range(STEPS)]
    peak = factors.index(max(factors))
    assert max(factors) == 1.0
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] < 0.03
