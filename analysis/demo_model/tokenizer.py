"""The bundled model's tokenizer: byte-level BPE, as in GPT-2, learned from its own corpus.

Bytes are the alphabet, so every UTF-8 text has tokens and comes back unchanged.
Words of the corpus are single tokens, with and without their leading space.
"""

from collections.abc import Iterator
from itertools import islice

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from analysis.demo_model.corpus import SYLLABLES, training_passages
from analysis.demo_model.landmarks import CITIES, LANDMARKS
from analysis.demo_model.words import (
    COMMON_WORDS,
    CONTENT_WORDS,
    DAYS,
    DIGITS,
    LETTERS,
    MONTHS,
    NAMES,
    NUMBER_WORDS,
    PLACES,
)

VOCABULARY_SIZE = 4096
END_OF_TEXT = "<|endoftext|>"
PASSAGES = 20_000
# Enough for a listed word to outrank any fragment of a rarer one.
REPEATS_OF_LISTED_WORDS = 20


def answer_words() -> tuple[str, ...]:
    """Every word that a prompt may ask for; each is one token after a space."""
    return (*NAMES, *CITIES, *DAYS, *MONTHS, *NUMBER_WORDS, *DIGITS, *LETTERS, *CONTENT_WORDS)


def _training_texts(seed: int) -> Iterator[str]:
    for passage in islice(training_passages(seed), PASSAGES):
        yield passage.text
    landmark_words = [word for landmark in LANDMARKS for word in landmark.split()]
    for word in (*answer_words(), *landmark_words, *COMMON_WORDS, *PLACES):
        for form in (word, f" {word}", word.capitalize(), f" {word.capitalize()}"):
            yield from [form] * REPEATS_OF_LISTED_WORDS
    yield from SYLLABLES


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Learn the merges; the same seed gives the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_texts(seed), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
        model_max_length=128,
    )
