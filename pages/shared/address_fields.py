"""What an address may hold: each parameter with its words and the values behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import streamlit as st

from analysis.models import offered, ready_examples
from analysis.policy import policy
from pages.shared import circuit_state, set_state
from pages.shared.choices import CHOICES, COMPONENT, LAYER_NORM, RUN
from pages.shared.keys import B_PROMPT_KEYS, EVERY, LAST, PROMPT_KEYS, SOURCE_KEYS, Key


@dataclass(frozen=True)
class Field:
    """One parameter of the address.

    `read` takes its word to a value of the session, None where the word is none; `title` takes a value
    to the word that is written. A `default` is left out of the address.
    """

    key: Key
    default: Any
    read: Callable[[str], Any] = str
    title: Callable[[Any], str] = str


def _model(word: str) -> str | None:
    """Any name where the policy names none."""
    return word if policy().models is None or word in offered() else None


def _head_or_layer(word: str) -> int | None:
    return int(word) if re.fullmatch(r"\d{1,4}", word) else None


def _map(word: str) -> str | None:
    """What the map of all sources shows: "layers", "heads", or a block of paths such as "L3-L20"."""
    return word if re.fullmatch(r"layers|heads|L\d{1,4}-L\d{1,4}", word) else None


def _position(word: str) -> str | None:
    """A position by its number or by the title of its option, such as "Last: ' to'" or "3: ' John'"."""
    found = re.fullmatch(rf"({LAST}|{EVERY}|\d+)(:.*| positions)?", word, re.IGNORECASE | re.DOTALL)
    return found and found[1].lower()


def _one_position(word: str) -> str | None:
    """As `_position`, but for all of them at once."""
    found = _position(word)
    return None if found == EVERY else found


def fields() -> Iterator[Field]:
    """Every parameter; what the session holds for the first, the model, decides the defaults of the next."""
    yield Field(Key.MODEL, offered()[0], _model)
    first, *_ = ready_examples(st.session_state.get(Key.MODEL) or "")
    yield from (Field(key, getattr(first, key)) for key in PROMPT_KEYS)
    # Of these the strongest path's are taken where the address has none: `take_lead`.
    for choice in CHOICES:
        yield Field(choice.key, None if choice is COMPONENT else choice.default, choice.read)
    yield from (
        Field(Key.POSITION, LAST, _position),
        *(Field(key, None, _head_or_layer) for key in SOURCE_KEYS),
        Field(Key.MAP, None, _map),
        Field(Key.EDGES, circuit_state.DRAWN_AT_FIRST, circuit_state.read_count),
        Field(Key.PINS, (), circuit_state.read_edges, circuit_state.write_edges),
        Field(Key.GROUPS, (), circuit_state.read_groups, circuit_state.write_groups),
        Field(Key.SELECTED, None),
        Field(Key.SET, None, set_state.read_set),
        Field(Key.B_MODEL, None, _model),
        *(Field(key, None) for key in B_PROMPT_KEYS),
        Field(Key.B_RUN, None, RUN.read),
        Field(Key.B_POSITION, None, _one_position),
        Field(Key.B_LAYER_NORM, None, LAYER_NORM.read),
        Field(Key.FAITHFULNESS, 0.9, circuit_state.read_faithfulness, lambda share: f"{100 * share:.0f}"),
    )
