"""What the shipped weights can do, measured again."""

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from analysis.demo_model import DIRECTORY
from analysis.demo_model.evaluation import (
    Figures,
    induction_accuracy,
    measure,
    next_token_logits,
    score,
    single_token,
)
from analysis.demo_model.examples import EXAMPLES, Example
from analysis.demo_model.held_out import Prompt, induction_sequences


@pytest.fixture(scope="module")
def figures(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> Figures:
    """The figures of the model card, from the weights themselves."""
    return measure(model, tokenizer)


def test_indirect_object_identification(figures: Figures) -> None:
    """The receiver is the most likely token, and clearly ahead of the giver."""
    assert figures.ioi_accuracy >= 0.99
    assert figures.ioi_logit_difference >= 3


def test_facts(figures: Figures) -> None:
    """Landmarks are known in phrasings that training never paired with them."""
    assert figures.facts_accuracy >= 0.99


def test_successors(figures: Figures) -> None:
    """Days, months and numbers are counted on."""
    assert figures.successors_accuracy >= 0.99


def test_induction(figures: Figures) -> None:
    """Words that never stood together are looked up where they stood before."""
    assert figures.induction_accuracy >= 0.95


def test_card_states_what_is_measured(figures: Figures) -> None:
    """The card's figures are those of the weights beside it."""
    card = (DIRECTORY / "README.md").read_text(encoding="utf-8")
    assert f"mean logit difference {figures.ioi_logit_difference:.1f}" in card
    accuracies = (
        figures.ioi_accuracy,
        figures.facts_accuracy,
        figures.successors_accuracy,
        figures.induction_accuracy,
    )
    for accuracy in accuracies:
        assert f"{accuracy:.1%} correct" in card


def test_works_without_the_start_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """The start token is a help, not a condition."""
    bare = measure(model, tokenizer, start=False)
    assert bare.ioi_accuracy >= 0.98
    assert bare.facts_accuracy >= 0.98
    assert bare.successors_accuracy >= 0.98
    assert bare.induction_accuracy >= 0.95


@pytest.mark.parametrize("start", [True, False], ids=["with start token", "without"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_examples_behave(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, example: Example, start: bool
) -> None:
    """The clean prompt brings the answer, the corrupted one the foil, each by a clear margin."""
    clean, corrupted = next_token_logits(model, tokenizer, [example.clean, example.corrupted], start)
    answer, foil = (single_token(tokenizer, text) for text in (example.answer, example.foil))
    assert (int(clean.argmax()), int(corrupted.argmax())) == (answer, foil)
    assert clean[answer] - clean[foil] >= 3
    assert corrupted[answer] - corrupted[foil] <= -3


def test_score_can_be_bad(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """The measure itself tells right from wrong: exchanged answers score nothing."""
    example = EXAMPLES[0]
    exchanged = score(model, tokenizer, [Prompt(example.clean, example.foil, example.answer)])
    assert exchanged.accuracy == 0
    assert exchanged.logit_difference < 0


def test_induction_needs_the_first_repeat(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Of two words there is exactly one to predict, so the share is 0 or 1."""
    assert induction_accuracy(model, tokenizer, [("river", "hammer")]) in (0.0, 1.0)


def test_single_token_names_the_pieces(tokenizer: PreTrainedTokenizerFast) -> None:
    """An answer that is not one token is refused with the tokens it splits into."""
    with pytest.raises(ValueError, match=r"' Mary John' is 2 tokens, not one"):
        single_token(tokenizer, " Mary John")


def test_layer_0_notes_what_stood_two_and_three_words_back(tokenizer: PreTrainedTokenizerFast) -> None:
    """The circuit of the model card: a head each that looks so far back in sequences of words."""
    model = AutoModelForCausalLM.from_pretrained(DIRECTORY, attn_implementation="eager").eval()
    texts = [" ".join(words * 2) for words in induction_sequences(seed=1, count=16)]
    tokens = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text)["input_ids"]] for text in texts])
    with torch.inference_mode():
        pattern = model(tokens, output_attentions=True).attentions[0]
    for back in (2, 3):
        by_head = pattern.diagonal(-back, dim1=2, dim2=3)[..., 3:].mean(dim=(0, 2))
        assert by_head.max() >= 0.9
