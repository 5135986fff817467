"""The two sides of a comparison: A is the experiment at hand, B what is chosen to differ from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from analysis.labels import model_title, shown_token
from analysis.requests import Experiment, LayerNormMode
from analysis.results import RunShown
from pages.shared.choices import LAYER_NORM, RUN, Compared
from pages.shared.keys import B_PROMPT_KEYS, LAST, PROMPT_KEYS, Key

#: What differs where nobody has chosen: of attributions the run, of paths the LayerNorm.
_OTHER_RUN: dict[RunShown, RunShown] = {
    "clean": "corrupted",
    "corrupted": "clean",
    "clean_minus_corrupted": "clean",
}
_OTHER_NORM: dict[LayerNormMode, LayerNormMode] = {"frozen": "exact", "exact": "frozen"}


@dataclass(frozen=True)
class Side:
    """All that a result of one side depends on, but for what both sides share.

    `position` is `LAST` or a number, as in the address.
    """

    experiment: Experiment
    run: RunShown
    position: str
    layer_norm: LayerNormMode

    def at(self, n_tokens: int) -> int:
        """The position as an index from the start of a prompt of so many tokens; the last for one too far."""
        number = n_tokens - 1 if self.position == LAST else int(self.position)
        return min(number, n_tokens - 1)


def sides(experiment: Experiment, compared: Compared) -> tuple[Side, Side]:
    """A as the sidebar and the controls have it, and B with what is chosen to differ.

    Where nothing differs that the comparison depends on, B is the other run, or has the other LayerNorm.
    """
    state = st.session_state
    position = state[Key.POSITION]
    a = Side(experiment, state[Key.RUN], position if position.isdecimal() else LAST, state[Key.LAYER_NORM])
    b = Side(
        _experiment_of_b(experiment),
        _or(state[Key.B_RUN], a.run),
        _or(state[Key.B_POSITION], a.position),
        _or(state[Key.B_LAYER_NORM], a.layer_norm),
    )
    if compared == "attribution":
        b = replace(b, layer_norm=a.layer_norm)
        return a, replace(b, run=_OTHER_RUN[a.run]) if a == b else b
    b = replace(b, run=a.run, position=a.position)
    return a, replace(b, layer_norm=_OTHER_NORM[a.layer_norm]) if a == b else b


def _experiment_of_b(experiment: Experiment) -> Experiment:
    keys = (Key.B_MODEL, *B_PROMPT_KEYS)
    chosen = {key.removeprefix("b_"): st.session_state[key] for key in keys}
    return replace(experiment, **{name: value for name, value in chosen.items() if value is not None})


def _or(chosen: Any, as_in_a: Any) -> Any:
    return as_in_a if chosen is None else chosen


def exchange(a: Side, b: Side) -> None:
    """Make B the experiment at hand, and A what differs from it; a callback."""
    state = st.session_state
    prompts = zip((Key.MODEL, *PROMPT_KEYS), (Key.B_MODEL, *B_PROMPT_KEYS), strict=True)
    pairs = [
        *((key, b_key, getattr(a.experiment, key), getattr(b.experiment, key)) for key, b_key in prompts),
        (Key.RUN, Key.B_RUN, a.run, b.run),
        (Key.POSITION, Key.B_POSITION, a.position, b.position),
        (Key.LAYER_NORM, Key.B_LAYER_NORM, a.layer_norm, b.layer_norm),
    ]
    for key, b_key, ours, theirs in pairs:
        state[key], state[b_key] = theirs, None if ours == theirs else ours


def differences(a: Side, b: Side) -> list[str]:
    """What B has otherwise than A, in words."""
    told = []
    if a.experiment.model != b.experiment.model:
        told.append(f"the model {model_title(b.experiment.model)}")
    if any(getattr(a.experiment, key) != getattr(b.experiment, key) for key in PROMPT_KEYS):
        answer, foil = (shown_token(token) for token in (b.experiment.answer, b.experiment.foil))
        told.append(f"another pair ({answer} or {foil})")
    if a.run != b.run:
        told.append(f"the run: {RUN.options[b.run].lower()}")
    if a.position != b.position:
        told.append(f"position {b.position}")
    if a.layer_norm != b.layer_norm:
        told.append(f"the LayerNorm: {LAYER_NORM.options[b.layer_norm].lower()}")
    return told
