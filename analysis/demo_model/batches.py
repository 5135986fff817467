"""Passages turned into batches of tokens with a loss weight each."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from analysis.demo_model.corpus import Passage, counting_passages, training_passages
from analysis.demo_model.repeats import repeated_rows

LONGEST = 128
"""Tokens in the longest row, which is also the number of positions of the model."""
POOL = 2048
"""Passages sorted by length together, so that a batch holds rows of like length."""
REPEAT_LENGTH = 48
"""Tokens in a row of repeated words and its start token."""
REPEATS_ALONE = 1_000
"""Steps at the start that show nothing but repeated words; see `repeats`."""
REPEATS_AT_FIRST, REPEATS_BESIDE_TEXT, TEXT, RUNS = 2_048, 512, 2_048, 1_024
"""Tokens per step of each kind."""
WITH_START = 0.75
"""Share of rows that begin with the start token; the model has to work without it too."""


Row = tuple[list[int], list[float]]
"""Token ids of one passage, start token included if it has one, and their loss weights."""


@dataclass(frozen=True)
class Batch:
    """`tokens` and `weights`, both [batch pos]; padding has weight 0.

    ``weights[b, p]`` is the loss weight of predicting ``tokens[b, p]`` from what
    comes before it, hence 0 at position 0.
    """

    tokens: Tensor
    weights: Tensor


def token_weights(passage: Passage, offsets: list[tuple[int, int]]) -> list[float]:
    """The loss weight of each token: that of the piece its last character lies in."""
    ends = list(accumulate(len(text) for text, _ in passage.pieces))
    weights, piece = [], 0
    for _, stop in offsets:
        while ends[piece] < stop:
            piece += 1
        weights.append(passage.pieces[piece][1])
    return weights


def _rows(passages: list[Passage], tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> list[Row]:
    encoded = tokenizer(
        [passage.text for passage in passages],
        return_offsets_mapping=True,
        truncation=True,
        max_length=LONGEST - 1,
    )
    rows = []
    for passage, tokens, offsets in zip(
        passages, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        weights = token_weights(passage, offsets)
        if rng.random() < WITH_START:
            rows.append(([tokenizer.bos_token_id, *tokens], [0.0, *weights]))
        else:
            rows.append((tokens, [0.0, *weights[1:]]))
    return rows


def _padded(rows: list[Row], padding: int) -> Batch:
    width = max(len(tokens) for tokens, _ in rows)
    tokens = torch.full((len(rows), width), padding, dtype=torch.long)
    weights = torch.zeros(len(rows), width)
    for row, (ids, values) in enumerate(rows):
        tokens[row, : len(ids)] = torch.tensor(ids)
        weights[row, : len(values)] = torch.tensor(values)
    return Batch(tokens, weights)


def text_batches(
    passages: Iterator[Passage],
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    tokens_per_batch: int,
    pool: int = POOL,
) -> Iterator[Batch]:
    """An endless stream of batches of about `tokens_per_batch` tokens, padding included."""
    rng = random.Random(seed)
    while True:
        rows = _rows(list(islice(passages, pool)), tokenizer, rng)
        rows.sort(key=lambda row: len(row[0]))
        batches, start = [], 0
        while start < len(rows):
            stop = start
            while stop < len(rows) and (stop + 1 - start) * len(rows[stop][0]) <= tokens_per_batch:
                stop += 1
            batches.append(rows[start:stop])
            start = stop
        rng.shuffle(batches)
        for batch in batches:
            yield _padded(batch, tokenizer.pad_token_id)


def repeat_batches(
    tokenizer: PreTrainedTokenizerFast, seed: int, tokens_per_batch: list[int]
) -> Iterator[Batch]:
    """One batch of repeated words for each of `tokens_per_batch`, from ever more words."""
    rng = random.Random(seed)
    sizes = [tokens // REPEAT_LENGTH for tokens in tokens_per_batch]
    for passages in repeated_rows(seed, sizes, length=REPEAT_LENGTH - 1):
        yield _padded(_rows(passages, tokenizer, rng), tokenizer.pad_token_id)


def lessons(tokenizer: PreTrainedTokenizerFast, seed: int, steps: int) -> Iterator[list[Batch]]:
    """The batches of each step: repeated words alone at first, then text of all tasks beside them."""
    alone = min(steps, REPEATS_ALONE)
    sizes = [REPEATS_AT_FIRST] * alone + [REPEATS_BESIDE_TEXT] * (steps - alone)
    texts = text_batches(training_passages(seed), tokenizer, seed, TEXT)
    for step, repeats in enumerate(repeat_batches(tokenizer, seed, sizes)):
        yield [repeats] if step < alone else [repeats, next(texts)]


def last_lessons(tokenizer: PreTrainedTokenizerFast, seed: int, steps: int) -> Iterator[list[Batch]]:
    """The batches of each step: text of all tasks, and runs of days, months and numbers beside it."""
    texts = text_batches(training_passages(seed), tokenizer, seed, TEXT)
    runs = text_batches(counting_passages(seed), tokenizer, seed, RUNS, pool=POOL // 4)
    for _ in range(steps):
        yield [next(texts), next(runs)]
