"""Text made fit to be drawn: nothing in it hides or acts, and what differs keeps differing."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels import LONGEST_TOKEN, MOST_MARKS, printable, shown_token
from tests.hostile import HOSTILE

CHARACTERS = [chr(code) for code in range(0x110000)]
#: Categories of what has no look of its own: controls, formats, surrogates, private, unassigned, separators.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
#: What texts that only look alike are made of.
TRICKS = "a \t\n\x00\x1b␛␀⏎·\u2039\u203aU+04,01\u0301\u0302\u034f\u200b\u200d\u202e\u2028\ufe0f\ue000\ud800"


@cache
def seen() -> list[str]:
    return [printable(character) for character in CHARACTERS]


def test_every_character_is_seen_and_told_from_every_other():
    assert len(set(seen())) == len(CHARACTERS)
    assert not UNSEEN & {category(character) for character in set("".join(seen()))}


def test_letters_digits_signs_and_marks_that_can_be_seen_stay_as_they_are():
    changed = [
        before
        for before, after in zip(CHARACTERS, seen(), strict=True)
        if before != after and category(before)[0] in "LNPSM"
    ]
    # Stand-ins, fillers and selectors of a variant.
    assert {*changed} == {
        *map(chr, [*range(0x2400, 0x2420), 0x2421, 0x23CE, 0x21E5, 0x2800]),
        *map(chr, [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0]),
        *map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]),
    } - set("␉␊")  # which stand for nothing: a tab and a line's end have their arrows


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" Mary", "·Mary"),
        ("\n", "⏎"),
        ("\t\r", "⇥␍"),
        ("<|endoftext|>", "<|endoftext|>"),
        ("<b>*_$x", "<b>*_$x"),
        (" \N{REPLACEMENT CHARACTER}", "·\N{REPLACEMENT CHARACTER}"),
        (" größer", "·größer"),
        ("日本", "日本"),
        ("👍", "👍"),
        ("\u2039quoted\u203a", "\u2039quoted\u203a"),
        ("\x1b[0m", "␛[0m"),
        ("\u202e", "\u2039U+202E\u203a"),
        ("\u2039U+202E\u203a", "\u2039U+2039\u203aU+202E\u203a"),
    ],
)
def test_ordinary_tokens_keep_their_look(token: str, shown: str):
    assert shown_token(token) == shown


@given(st.lists(st.text(st.sampled_from(TRICKS), max_size=12), min_size=2, max_size=2, unique=True))
def test_different_texts_stay_different(texts: list[str]):
    assert printable(texts[0]) != printable(texts[1])
    assert printable(texts[0], longest=5) != printable(texts[1], longest=5)


@pytest.mark.parametrize("token", HOSTILE.values(), ids=[*HOSTILE])
def test_a_token_is_bounded_whatever_it_is(token: str):
    shown = shown_token(token)
    assert len(shown) <= 10 * LONGEST_TOKEN
    assert not UNSEEN & {category(character) for character in shown}
    runs = [len([*run]) for marks, run in groupby(shown, lambda one: category(one)[0] == "M") if marks]
    assert max(runs, default=0) <= MOST_MARKS


def test_what_is_left_out_is_counted_and_told_apart():
    one, other = "x" * 10_000, "x" * 9_999 + "y"
    assert shown_token(one).startswith("x" * LONGEST_TOKEN + "\u2039+9,872 characters, ")
    assert shown_token(one) != shown_token(other)
    assert printable("e" + 20 * "\u0301").startswith("e" + MOST_MARKS * "\u0301" + "\u2039+12 marks, ")
