"""What every signed chart shares: units, a scale symmetric about zero, numbers fit for a browser."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import altair as alt
import numpy as np
from jaxtyping import Float

from analysis.charts.themes import Palette

Scale = Literal["effect", "recovery"]


def rounded(values: Iterable[float]) -> list[float]:
    """`values` to five significant digits: all that a picture can show, in few characters."""
    return [float(f"{value:.5g}") for value in values]


def reach(values: Float[np.ndarray, "..."]) -> float:
    """The largest absolute finite value, the end of a symmetric scale; 1 where all are zero."""
    finite = np.abs(values[np.isfinite(values)])
    return float(f"{finite.max():.5g}") if finite.size and finite.max() > 0 else 1.0


def round_number_above(value: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below the positive `value`.

    >>> round_number_above(3.2), round_number_above(0.05), round_number_above(71.0)
    (5.0, 0.05, 100.0)
    """
    power = math.floor(math.log10(value))
    return next(step for factor in (1, 2, 5, 10) if (step := float(f"{factor}e{power}")) >= value)


def diverging(field: str, title: str | list[str], end: float, palette: Palette) -> alt.Color:
    """Colour of a signed quantity: blue below zero, orange above, equal strength for equal size."""
    return alt.Color(
        f"{field}:Q",
        scale=alt.Scale(
            domain=[-end, end],
            domainMid=0,
            range=[palette.negative, palette.neutral, palette.positive],
            interpolate="lab",
        ),
        legend=alt.Legend(
            title=title,
            values=[-end, 0, end],
            labelExpr="datum.value == 0 ? '0' : format(datum.value, '+.3~g')",
            orient="top",
            direction="horizontal",
            gradientLength=220,
        ),
    )


def by_sign(field: str, palette: Palette) -> Any:
    """The colour of a bar or point by the sign of `field`."""
    positive = alt.value(palette.positive)
    return alt.when(alt.datum[field] < 0).then(alt.value(palette.negative)).otherwise(positive)
