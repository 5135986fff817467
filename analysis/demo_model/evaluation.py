"""Measures what the bundled model has learned, on prompts that training never showed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from analysis.demo_model.held_out import (
    Prompt,
    fact_prompts,
    induction_sequences,
    ioi_prompts,
    successor_prompts,
)

SEED = 20_240_229
IOI_PROMPTS, INDUCTION_SEQUENCES = 520, 64
BATCH = 64


@dataclass(frozen=True)
class Figures:
    """Accuracies are shares between 0 and 1: the answer is the most likely of *all* tokens.

    `ioi_logit_difference` is the mean of logit(answer) - logit(foil), in nats of
    log-odds, the foil being the name that the prompt repeats; 0 means undecided.
    `induction` counts every word of the second repeat but the first.
    """

    ioi_accuracy: float
    ioi_logit_difference: float
    facts_accuracy: float
    successors_accuracy: float
    induction_accuracy: float


@dataclass(frozen=True)
class Score:
    """Accuracy over some prompts, and the mean logit difference of answer over foil."""

    accuracy: float
    logit_difference: float


def single_token(tokenizer: PreTrainedTokenizerBase, text: str) -> int:
    """The id of `text`, which must be one token.

    Raises ValueError with the tokens it splits into otherwise.
    """
    ids: list[int] = tokenizer(text)["input_ids"]
    if len(ids) != 1:
        raise ValueError(f"{text!r} is {len(ids)} tokens, not one: {tokenizer.tokenize(text)}")
    return ids[0]


@torch.inference_mode()
def next_token_logits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], start: bool
) -> Tensor:
    """Logits [batch d_vocab] of what follows each text; `start` puts the start token first."""
    prefix = [tokenizer.bos_token_id] if start else []
    rows = [prefix + tokenizer(text)["input_ids"] for text in texts]
    width = max(map(len, rows))
    # Attention is causal, so padding on the right cannot reach the position that is read.
    tokens = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
    last = torch.tensor([len(row) - 1 for row in rows])
    logits: Tensor = model(tokens).logits
    return logits[torch.arange(len(rows)), last]


def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    start: bool = True,
) -> Score:
    """How often the answer is the most likely token, and by how much it beats the foil."""
    hits, differences = 0, 0.0
    for begin in range(0, len(prompts), BATCH):
        batch = prompts[begin : begin + BATCH]
        logits = next_token_logits(model, tokenizer, [prompt.text for prompt in batch], start)
        answers = torch.tensor([single_token(tokenizer, prompt.answer) for prompt in batch])
        foils = torch.tensor([single_token(tokenizer, prompt.foil) for prompt in batch])
        rows = torch.arange(len(batch))
        hits += int((logits.argmax(-1) == answers).sum())
        differences += float((logits[rows, answers] - logits[rows, foils]).sum())
    return Score(hits / len(prompts), differences / len(prompts))


@torch.inference_mode()
def induction_accuracy(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sequences: Sequence[tuple[str, ...]],
    start: bool = True,
) -> float:
    """The share of words of the second repeat, bar its first, that the model predicts."""
    prefix = [tokenizer.bos_token_id] if start else []
    hits = total = 0
    for words in sequences:
        ids = [single_token(tokenizer, f" {word}") for word in words]
        # The very first word has no space before it in a text, hence its own token.
        ids = [*tokenizer(words[0])["input_ids"], *ids[1:], *ids]
        logits = model(torch.tensor([prefix + ids])).logits[0, len(prefix) :]
        expected = torch.tensor(ids[len(words) + 1 :])
        predicted = logits[len(words) : -1].argmax(-1)
        hits += int((predicted == expected).sum())
        total += len(expected)
    return hits / total


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, start: bool = True) -> Figures:
    """All figures on the held-out prompts; `start` says whether the start token is prepended."""
    ioi = score(model, tokenizer, ioi_prompts(SEED, IOI_PROMPTS), start)
    sequences = induction_sequences(SEED, INDUCTION_SEQUENCES)
    return Figures(
        ioi_accuracy=ioi.accuracy,
        ioi_logit_difference=ioi.logit_difference,
        facts_accuracy=score(model, tokenizer, fact_prompts(SEED), start).accuracy,
        successors_accuracy=score(model, tokenizer, successor_prompts(), start).accuracy,
        induction_accuracy=induction_accuracy(model, tokenizer, sequences, start),
    )
