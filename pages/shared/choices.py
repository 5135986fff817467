"""Controls with a few options, each declared once: the control, the address and the captions read it here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import streamlit as st

from analysis.requests import HeadInput, LayerNormMode, MetricName, Unit
from analysis.results import EffectScale, RunShown
from pages.shared.keys import KEPT, Key
from pages.shared.terms import meaning_of

V = TypeVar("V", bound=str)

#: Over what the nodes of a circuit stand.
CircuitLayout = Literal["layers", "tokens"]
#: Of which paths between two heads the map of all sources is: into one input, or the strongest of all three.
InputsShown = Literal["apart", "together"]


#: What two results are compared by.
Compared = Literal["attribution", "path", "strongest_paths", "all_sources"]


@dataclass(frozen=True)
class Choice(Generic[V]):
    """A control that takes one of a few values.

    `options` holds the title of each value, the default first; `meanings` what a page says of the value
    that is chosen. `listed` opens a list instead of laying the titles side by side.
    """

    key: Key
    label: str
    options: Mapping[V, str]
    help: str | None = None
    meanings: Mapping[V, str] = field(default_factory=dict)
    listed: bool = False

    @property
    def default(self) -> V:
        """The value that is chosen where nobody has chosen."""
        return next(iter(self.options))

    def read(self, word: str) -> V | None:
        """The value that `word` names, be it the title or the value itself; None if it names none."""
        return next((value for value, title in self.options.items() if word in (value, title)), None)

    def draw(self) -> V:
        """Draw the control; the value that is chosen in it."""
        title, values = self.options.__getitem__, list(self.options)
        if self.listed:
            return st.selectbox(
                self.label,
                values,
                format_func=title,
                key=self.key,
                persist_state=KEPT,
                help=self.help,
                width=260,
            )
        chosen = st.segmented_control(
            self.label,
            values,
            format_func=title,
            key=self.key,
            persist_state=KEPT,
            required=True,
            help=self.help,
        )
        return self.default if chosen is None else chosen


#: By what attribution is told apart: by every node at once, or by one of the API's units.
UnitShown = Literal["node", Unit]

UNIT: Choice[UnitShown] = Choice(
    Key.UNIT,
    "Unit",
    {"node": "Map", "component": "Component", "layer": "Layer", "head": "Head"},
    help=meaning_of("attribution"),
    meanings={
        "node": "What the embedding, each head and each MLP write straight along answer minus foil.",
        "component": "What the embedding and each layer's attention and MLP write along answer minus foil.",
        "layer": "The residual stream after each sublayer, read as if it were the last: a logit-lens "
        "trajectory.",
        "head": "What each attention head writes along answer minus foil; the remainder is everything else.",
    },
)
RUN: Choice[RunShown] = Choice(
    Key.RUN,
    "Prompt",
    {"clean": "Clean", "corrupted": "Corrupted", "clean_minus_corrupted": "Clean minus corrupted"},
    help=meaning_of("clean and corrupted prompt"),
)
COMPONENT: Choice[HeadInput] = Choice(
    Key.COMPONENT,
    "Patched input",
    {"q": "Query", "k": "Key", "v": "Value"},
    help="Which input of the destination head sees the source head's clean output. "
    + meaning_of("query, key and value"),
)
LAYER_NORM: Choice[LayerNormMode] = Choice(
    Key.LAYER_NORM,
    "LayerNorm",
    {"frozen": "Frozen", "exact": "Exact"},
    help=meaning_of("LayerNorm frozen or exact"),
)
METRIC: Choice[MetricName] = Choice(
    Key.METRIC,
    "Metric",
    {
        "logit_difference": "Logit difference",
        "answer_log_probability": "Log-probability of the answer",
        "answer_probability": "Probability of the answer",
        "kl_from_clean": "KL divergence from the clean run",
    },
    help="What is read off the logits at the last position. "
    + meaning_of("logit difference")
    + " The KL divergence tells how far all next tokens are from those of the clean run: 0 is the clean run.",
    listed=True,
)
SCALE: Choice[EffectScale] = Choice(
    Key.SCALE,
    "Show",
    {"effect": "Effect", "recovery": "Recovery"},
    help=meaning_of("effect", "recovery"),
)
INPUTS: Choice[InputsShown] = Choice(
    Key.INPUTS,
    "In the map",
    {"apart": "Patched input", "together": "Strongest of three"},
    help="The paths into the patched input that is chosen, or, of the three paths between each pair of "
    f"heads, the strongest. {meaning_of('path')}",
)
LAYOUT: Choice[CircuitLayout] = Choice(
    Key.LAYOUT,
    "Laid out by",
    {"layers": "Layers", "tokens": "Tokens"},
    help="By layers, every node has one place. By tokens, each write stands over the token where it matters "
    "most.",
)
COMPARED: Choice[Compared] = Choice(
    Key.COMPARED,
    "What is compared",
    {
        "attribution": "Attribution",
        "path": "Paths of a head",
        "strongest_paths": "Strongest paths",
        "all_sources": "All sources",
    },
    help=meaning_of("attribution", "path"),
    meanings={
        "attribution": "What every node writes straight along answer minus foil, in logits.",
        "path": "The effect of every path from one head to a later head, each patched alone.",
        "strongest_paths": "The effects of the paths between heads that are among the strongest of A or B.",
        "all_sources": "The effect of every path from a head to a later one, where both sweeps are finished.",
    },
)
CHOICES = (UNIT, RUN, COMPONENT, LAYER_NORM, METRIC, SCALE, INPUTS, LAYOUT, COMPARED)
