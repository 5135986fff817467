"""Any text comes back unchanged, and whatever can be an answer is one token."""

import pytest
from transformers import PreTrainedTokenizerFast

from analysis.demo_model.examples import EXAMPLES, Example
from analysis.demo_model.landmarks import CITIES_OF_LANDMARKS
from analysis.demo_model.tokenizer import END_OF_TEXT, answer_words, train_tokenizer
from analysis.demo_model.words import COMMON_WORDS, NAMES, PLACES


@pytest.mark.parametrize(
    "text",
    [
        "When Mary and John went to the store, John gave a drink to",
        "naïve café — “quoted” …",
        "你好世界",
        "مرحبا بالعالم",
        "🙂👩🏽‍🚀 emoji 🇪🇺",
        "  two  spaces\n\n\tand a tab ",
        "x = {'a': [1, 2.5e-3]}  # code",
        "\u0000\u200b\ufeff",
        "",
    ],
)
def test_any_text_round_trips(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    """Bytes are the alphabet: nothing is unknown, changed or lost."""
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert tokenizer.bos_token_id not in ids


def test_every_character_plane_round_trips(tokenizer: PreTrainedTokenizerFast) -> None:
    """A sample of code points across Unicode, surrogates left out."""
    points = [point for point in range(0, 0x110000, 997) if not 0xD800 <= point < 0xE000]
    text = "".join(map(chr, points))
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_answers_are_single_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    """Names, cities, days, months, numbers and sequence words, each after a space."""
    words = (*answer_words(), *PLACES)
    assert [word for word in words if len(tokenizer(f" {word}")["input_ids"]) != 1] == []


def test_names_are_single_tokens_without_their_space(tokenizer: PreTrainedTokenizerFast) -> None:
    """A name that begins a prompt takes as much room as one inside it."""
    assert [name for name in NAMES if len(tokenizer(name)["input_ids"]) != 1] == []


def test_common_words_are_single_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    """Contractions apart, which split at the apostrophe as in GPT-2."""
    plain = [word for word in COMMON_WORDS if "'" not in word]
    assert [word for word in plain if len(tokenizer(f" {word}")["input_ids"]) != 1] == []


def test_most_landmarks_take_two_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    """Any two of those align token by token in any phrasing."""
    lengths = [len(tokenizer(f" {landmark}")["input_ids"]) for landmark in CITIES_OF_LANDMARKS]
    assert lengths.count(2) >= 60


def test_special_token(tokenizer: PreTrainedTokenizerFast) -> None:
    """One token starts and ends texts; it is not added unasked."""
    assert tokenizer.bos_token == tokenizer.eos_token == END_OF_TEXT
    assert tokenizer(END_OF_TEXT)["input_ids"] == [tokenizer.bos_token_id]
    assert tokenizer("a")["input_ids"] != [tokenizer.bos_token_id]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_examples_align(tokenizer: PreTrainedTokenizerFast, example: Example) -> None:
    """Equally many tokens, a difference before the end, and one-token answers."""
    clean, corrupted = (tokenizer(text)["input_ids"] for text in (example.clean, example.corrupted))
    assert len(clean) == len(corrupted)
    assert clean != corrupted
    for answer in (example.answer, example.foil):
        assert answer.startswith(" ")
        assert len(tokenizer(answer)["input_ids"]) == 1


def test_shipped_tokenizer_is_the_one_that_the_code_trains(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """Learning it again gives the same vocabulary and the same merges."""
    again = train_tokenizer(seed=0)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
