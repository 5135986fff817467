"""What all charts share: colours in both themes, the signed scale, how tokens are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import altair as alt
import numpy as np

Theme = Literal["light", "dark"]
Scale = Literal["effect", "recovery"]


@dataclass(frozen=True)
class Palette:
    """Colours of one theme. Negative is blue, positive orange: told apart by any colour vision."""

    negative: str
    neutral: str
    positive: str
    no_path: str
    ink: str
    faint: str
    background: str


PALETTES: dict[Theme, Palette] = {
    "light": Palette("#1f5fa8", "#f7f7f5", "#c8560f", "#d9dde3", "#1d2733", "#b4bcc8", "#ffffff"),
    "dark": Palette("#5aa3ef", "#1c242e", "#f08a3c", "#39434f", "#e3e8ef", "#566273", "#11161d"),
}


def signed_scale(values: np.ndarray, theme: Theme) -> alt.Scale:
    """A diverging scale centred on zero, with equal reach on both sides."""
    reach = largest(values)
    palette = PALETTES[theme]
    return alt.Scale(
        domain=[-reach, reach],
        domainMid=0,
        range=[palette.negative, palette.neutral, palette.positive],
        interpolate="lab",
        nice=False,
    )


def largest(values: np.ndarray) -> float:
    """The largest absolute value; a small positive number where there is none.

    >>> largest(np.array([np.nan, -2.0, 1.0]))
    2.0
    """
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1e-9


def rounded(values: np.ndarray) -> list[float]:
    """Five significant digits: what a reader can use, and a fraction of the bytes."""
    return [float(f"{value:.5g}") for value in values]


def shown_token(token: str) -> str:
    r"""A token with its white space made visible.

    >>> shown_token(" Mary"), shown_token("\n")
    ('·Mary', '⏎')
    """
    return token.replace(" ", "·").replace("\n", "⏎").replace("\t", "⇥")
