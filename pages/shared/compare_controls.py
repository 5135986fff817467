"""The controls that choose what differs in B; where one is empty, B is as A."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from analysis.labels import shown_token
from analysis.models import offered, ready_examples
from analysis.policy import policy
from analysis.requests import Experiment
from pages.shared import address
from pages.shared.choices import LAYER_NORM, RUN, Choice, Compared
from pages.shared.compare_sides import Side, exchange
from pages.shared.keys import B_PROMPT_KEYS, KEPT, LAST, PROMPT_KEYS, Key

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from analysis.demo_model.examples import Example

_AS_IN_A = "As in A"
_OWN = "Your own pair"
_HELP = "What B has in place of what A has; where nothing is chosen, B has the same."
_TITLES = ("Clean prompt", "Corrupted prompt", "Answer", "Foil")


def controls_of_b(a: Side, b: Side, compared: Compared) -> DeltaGenerator:
    """Model, pair, and what else this kind of comparison depends on; the row, which takes more."""
    row = st.container(horizontal=True, gap="medium")
    with row:
        st.selectbox(
            "B: model",
            offered(),
            key=Key.B_MODEL,
            persist_state=KEPT,
            index=None,
            placeholder=_AS_IN_A,
            accept_new_options=not policy().hosted,
            width=230,
            help=_HELP,
        )
        _pair()
        if compared == "attribution":
            _one_of(RUN, Key.B_RUN, "B: prompt")
        else:
            _one_of(LAYER_NORM, Key.B_LAYER_NORM, "B: LayerNorm")
    with st.expander("B: your own pair", icon=":material/edit:"):
        _own_pair(a.experiment, b.experiment)
    st.button(
        "Exchange A and B", key=Key.EXCHANGE, icon=":material/swap_horiz:", on_click=exchange, args=(a, b)
    )
    return row


def position_of_b(tokens: tuple[str, ...]) -> None:
    """The position in B's own prompt."""
    numbers = [str(position) for position in range(len(tokens))]
    if st.session_state[Key.B_POSITION] not in (None, LAST, *numbers):  # but in a longer prompt
        address.correct({Key.B_POSITION: None})
    names = {LAST: f"Last: {shown_token(tokens[-1])}"}
    names |= {number: f"{number}: {shown_token(tokens[int(number)])}" for number in numbers}
    _list("B: position", Key.B_POSITION, names)


def _one_of(choice: Choice, key: Key, label: str) -> None:
    _list(label, key, choice.options)


def _list(label: str, key: Key, names: Mapping[str, str]) -> None:
    st.selectbox(
        label,
        [*names],
        format_func=names.__getitem__,
        key=key,
        persist_state=KEPT,
        index=None,
        placeholder=_AS_IN_A,
        width=200,
        help=_HELP,
    )


def _pair() -> None:
    """A ready example as B's pair."""
    held = [st.session_state[key] for key in B_PROMPT_KEYS]
    examples = _examples()
    spelt = [[getattr(example, key) for key in PROMPT_KEYS] for example in examples]
    chosen = next((number for number, example in enumerate(spelt) if _fits(held, example)), None)
    st.session_state[Key.B_EXAMPLE] = chosen
    own = chosen is None and any(text is not None for text in held)
    st.selectbox(
        "B: pair",
        range(len(examples)),
        format_func=lambda number: examples[number].title,
        key=Key.B_EXAMPLE,
        index=None,
        placeholder=_OWN if own else _AS_IN_A,
        on_change=_take_example,
        width=300,
        help=_HELP,
    )


def _examples() -> tuple[Example, ...]:
    """Those of B's model."""
    return ready_examples(st.session_state[Key.B_MODEL] or st.session_state[Key.MODEL] or "")


def _fits(held: list[str | None], example: list[str]) -> bool:
    """Whether B's prompts are the example's; what B has as A, A spells out."""
    if all(text is None for text in held):
        return False
    of_a = [st.session_state[key] for key in PROMPT_KEYS]
    return [ours if text is None else text for text, ours in zip(held, of_a, strict=True)] == example


def _take_example() -> None:
    number = st.session_state[Key.B_EXAMPLE]
    example = None if number is None else _examples()[number]
    _hold([None if example is None else getattr(example, key) for key in PROMPT_KEYS])


def _own_pair(a: Experiment, b: Experiment) -> None:
    """Four fields that hold B's pair."""
    most = policy().prompt_characters
    fields = [f"{key}_text" for key in B_PROMPT_KEYS]
    # As the address says, however it came there.
    shown = [getattr(b, key) for key in PROMPT_KEYS]
    if st.session_state.get(f"{Key.B_EXAMPLE}_shown") != shown:
        st.session_state[f"{Key.B_EXAMPLE}_shown"] = shown
        st.session_state.update(zip(fields, shown, strict=True))

    def take() -> None:
        typed = [st.session_state[field] for field in fields]
        of_a = [getattr(a, key) for key in PROMPT_KEYS]
        _hold([None if text == ours else text for text, ours in zip(typed, of_a, strict=True)])

    with st.form("pair_of_b", border=False):
        for title, field in zip(_TITLES, fields, strict=True):
            st.text_input(f"B: {title[0].lower()}{title[1:]}", key=field, max_chars=most, help=_HELP)
        st.form_submit_button("Compare with this pair", icon=":material/keyboard_return:", on_click=take)


def _hold(texts: list[str | None]) -> None:
    for key, text in zip(B_PROMPT_KEYS, texts, strict=True):
        st.session_state[key] = text
