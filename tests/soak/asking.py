"""What a visitor asks for by a link, and whether a page shows it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from streamlit.proto.Element_pb2 import Element

from analysis.demo_model.examples import EXAMPLES
from analysis.labels import head_label
from pages.shared.choices import (
    CHOICES,
    COMPARED,
    COMPONENT,
    INPUTS,
    LAYER_NORM,
    LAYOUT,
    METRIC,
    RUN,
    SCALE,
    UNIT,
)
from pages.shared.keys import EVERY, LAST, PROMPT_KEYS, SOURCE_KEYS, Key

_PATCHING = {choice.key for choice in (COMPONENT, LAYER_NORM, METRIC, SCALE)}
#: The controls that a page draws beside the prompts, where nothing is wrong with them.
CONTROLS: dict[str, set[Key]] = {
    "": set(),
    "direct_logit_attribution": {UNIT.key, RUN.key, Key.POSITION},
    "path_patching": _PATCHING | {Key.SOURCE},
    "all_sources": _PATCHING | {INPUTS.key},
    "circuit": {METRIC.key, LAYOUT.key},
    "compare": {COMPARED.key},
    "sanity_checks": set(),
}


@dataclass(frozen=True)
class Asked:
    """A link's parameters, how each control then has to begin, and the values behind them."""

    words: Mapping[str, str]
    shown: Mapping[str, str]
    values: Mapping[str, str]
    mistaken: bool = False

    @property
    def query(self) -> str:
        """The parameters as they stand in a link."""
        return urlencode(self.words)


@dataclass
class Drawn:
    """What one run of a page has drawn: each control's value, captions, the labels of figures."""

    controls: dict[str, str] = field(default_factory=dict)
    captions: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    refused: bool = False

    def see(self, element: Element) -> None:
        """Take in one element."""
        kind = element.WhichOneof("type")
        if kind in ("text_area", "text_input", "number_input", "selectbox", "button_group"):
            control = getattr(element, kind)
            self.controls[control.id.rpartition("-")[2]] = _value(kind, control)
        elif kind == "markdown":
            self.captions.append(element.markdown.body)
            self.refused = self.refused or "cannot be computed" in element.markdown.body
        elif kind == "metric":
            self.figures.append(element.metric.label)


def _value(kind: str, control: object) -> str:
    """What `control` shows in a browser that has never seen it: what the server sets, else its default."""
    if kind == "button_group":
        return ", ".join(control.raw_values)  # type: ignore[attr-defined]
    if kind == "selectbox":
        return control.raw_value  # type: ignore[attr-defined]
    value = control.value if control.set_value else control.default  # type: ignore[attr-defined]
    return str(int(value)) if kind == "number_input" else value


def something(chance: random.Random) -> Asked:
    """A random experiment and random choices, by titles and by values."""
    example = chance.choice(EXAMPLES)
    tokens = sorted({token for one in EXAMPLES for token in (one.answer, one.foil)})
    prompts = dict(
        zip(PROMPT_KEYS, (example.clean, example.corrupted, *chance.sample(tokens, 2)), strict=True)
    )
    mistake = chance.random()
    if mistake < 0.05:
        prompts[Key.CORRUPTED] += " and more"
    elif mistake < 0.1:
        prompts[Key.CLEAN] = ""
    words, shown = dict(prompts), dict(prompts)
    values: dict[Key, str] = {}
    for choice in CHOICES:
        value, title = chance.choice([*choice.options.items()])
        values[choice.key], shown[choice.key], words[choice.key] = value, title, chance.choice((value, title))
    position = chance.choice((LAST, EVERY, "0", "2", "4"))
    words[Key.POSITION] = position
    shown[Key.POSITION] = {LAST: "Last: ", EVERY: "All positions"}.get(position, f"{position}: ")
    words |= {key: str(chance.randrange(size)) for key, size in zip(SOURCE_KEYS, (4, 8), strict=True)}
    words[Key.SOURCE] = shown[Key.SOURCE] = head_label(*(int(words[key]) for key in SOURCE_KEYS))
    return Asked(words, shown, values, mistake < 0.1)


def faults(page: str, asked: Asked, drawn: Drawn) -> list[str]:
    """What `page` does not show as it was `asked` to."""
    found = []
    expected = {*PROMPT_KEYS, *(drawn.controls if asked.mistaken else CONTROLS[page])}
    for key in sorted(expected & asked.shown.keys()):
        there = drawn.controls.get(key)
        if there is None:
            found.append(f"no control for {key}")
        elif not there.startswith(asked.shown[key]) or (key in PROMPT_KEYS and there != asked.shown[key]):
            found.append(f"asked for {key}={asked.words[key]}, shown {there!r}")
    if asked.mistaken:
        return found if drawn.refused else [*found, "a mistaken experiment was not refused"]
    if page == "direct_logit_attribution":
        meaning = UNIT.meanings[asked.values[UNIT.key]]  # type: ignore[index]
        if not any(caption.startswith(meaning) for caption in drawn.captions):
            found.append(f"no caption tells what unit={asked.values[UNIT.key]} means")
    title = METRIC.options[asked.values[METRIC.key]]  # type: ignore[index]
    ends = [figure for figure in drawn.figures if figure.endswith((" clean run", " corrupted run"))]
    if page == "path_patching" and not ends:
        found.append("the metric of the two runs is not shown")
    found += [f"asked for {title}, shown {figure}" for figure in ends if not figure.startswith(f"{title} (")]
    # A sweep may be refused where the queue is full.
    if drawn.refused and page != "all_sources":
        found.append("a sound experiment was refused")
    return found
