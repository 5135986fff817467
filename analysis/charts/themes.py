"""Colours for the light and the dark theme, and the configuration that every chart shares."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import altair as alt
from altair.utils import schemapi

Theme = Literal["light", "dark"]

FONT = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True)
class Palette:
    """Colours of one theme.

    `negative`, `neutral` and `positive` are the ends and the middle of the diverging scale: blue
    and orange stay apart under every common colour-vision deficiency, and the middle recedes
    into the background. `masked` is what has no causal path, told from zero by its grey. `on_weak` and
    `on_strong` are text on the diverging scale, below and from the shares `strong` (of the negative and of
    the positive side) where the other begins to be read better: on every colour a contrast of 4.5 or more.
    `clean` and `corrupted` are the two prompts, where no sign is meant.
    """

    background: str
    text: str
    muted: str
    line: str
    negative: str
    neutral: str
    positive: str
    masked: str
    on_weak: str
    on_strong: str
    strong: tuple[float, float]
    clean: str
    corrupted: str


PALETTES: dict[Theme, Palette] = {
    "light": Palette(
        background="#ffffff",
        text="#1d2733",
        muted="#56616f",
        line="#cfd6df",
        negative="#1f5fa8",
        neutral="#f2f2ef",
        positive="#b85200",
        masked="#cfd2d7",
        on_weak="#000000",
        on_strong="#ffffff",
        strong=(0.835, 0.955),
        clean="#0b7a6c",
        corrupted="#a583cf",
    ),
    "dark": Palette(
        background="#11161d",
        text="#e3e8ef",
        muted="#a7b1be",
        line="#3a4656",
        negative="#5cb0ff",
        neutral="#1b212a",
        positive="#ff9d45",
        masked="#3d4652",
        on_weak="#ffffff",
        on_strong="#000000",
        strong=(0.6425, 0.605),
        clean="#46cdb8",
        corrupted="#9d7ed0",
    ),
}


# Else every part of a chart is held against the whole schema when it is made. Tests hold the whole chart.
schemapi.DEBUG_MODE = False


class _LayerChart(alt.LayerChart):
    """A chart that is not held against the schema whenever a page draws it; tests ask for that.

    A page draws the same chart in every run. Where its data stand apart from its specification, as when
    Streamlit draws it, both are made once: a chart is never changed in place.
    """

    def to_dict(self, validate: bool = False, **options: Any) -> dict[str, Any]:
        """Its specification, as Altair has it."""
        apart = alt.data_transformers.options.get("datasets")
        if validate or options or not isinstance(apart, dict):
            return super().to_dict(validate=validate, **options)
        transformer = alt.data_transformers.active
        made: _Made | None = self.__dict__.get(transformer)
        if made is None:
            before = apart.copy()
            specification = super().to_dict(validate=False)
            made = _Made(specification, {name: apart[name] for name in apart.keys() - before.keys()})
            self.__dict__[transformer] = made
        apart.update(made.data)
        return deepcopy(made.specification)


@dataclass(frozen=True)
class _Made:
    """What became of a chart: its specification, and by name the data that it refers to."""

    specification: dict[str, Any]
    data: dict[str, Any]


def drawn(layers: Sequence[alt.Chart], theme: Theme, height: int, description: str) -> alt.LayerChart:
    """One chart of `layers` with the fonts and colours of `theme`, on a transparent background.

    `height` is that of the plot in pixels, `description` what a screen reader says of it.
    """
    return _LayerChart(
        layer=list(layers),
        height=height,
        description=description,
        # Only the width gives way to axes and legends; the plot keeps its height on every page.
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        # Given at once: every `configure` would copy the chart with all its layers.
        config=_config(theme),
    )


@cache
def _config(theme: Theme) -> alt.Config:
    palette = PALETTES[theme]
    text: dict[str, Any] = {
        "labelColor": palette.muted,
        "labelFont": FONT,
        "labelFontSize": 12,
        "titleColor": palette.text,
        "titleFont": FONT,
        "titleFontSize": 12,
        "titleFontWeight": 500,
    }
    lines: dict[str, Any] = {
        "domain": False,
        "ticks": False,
        "gridColor": palette.line,
        "labelPadding": 6,
        "titlePadding": 10,
    }
    return alt.Config(
        background="transparent",
        font=FONT,
        padding=6,
        axis=alt.AxisConfig(**text, **lines),
        legend=alt.LegendConfig(**text, gradientThickness=12, symbolType="square", symbolStrokeWidth=0),
        view=alt.ViewConfig(stroke=None),
        text=alt.MarkConfig(color=palette.text, font=FONT, fontSize=12),
        rule=alt.MarkConfig(color=palette.line),
    )
