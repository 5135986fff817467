"""What every signed chart shares: units, a scale symmetric about zero, numbers fit for a browser."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import altair as alt
import numpy as np
from jaxtyping import Float

from analysis.charts.themes import Palette
from analysis.results import Result

#: What is said of an effect that rounding cannot tell from zero, in place of its number.
BELOW_RESOLUTION = "below resolution"


#: Share of all that could be moved below which no scale ends: smaller effects look as small as they are.
FLOOR = 0.01
PALE = "where the scale ends: colours are pale"
#: Formats of numbers in a legend: of an effect, and of a share.
PLAIN, PERCENT = "+.3~g", "+.3~p"


def rounded(values: Iterable[float]) -> list[float]:
    """`values` to five significant digits: all that a picture can show, in few characters."""
    return [float(f"{value:.5g}") for value in values]


def told_from_zero(result: Result, effect: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """`effect`, in the unit of `result`, with what rounding cannot tell from zero as zero."""
    return np.where(result.below_resolution(effect), 0.0, effect)


def number(value: str, resolution: float | None, form: str = "+.4f") -> str:
    """Vega's expression for the text of `value`, one of `told_from_zero`, in the format `form`."""
    text = f"format({value}, '{form}')"
    return f"{value} == 0 ? '{BELOW_RESOLUTION}' : {text}" if resolution else text


def reach(values: Float[np.ndarray, "..."], resolution: float | None = None, movable: float = 0.0) -> float:
    """The largest absolute finite value, the end of a symmetric scale.

    Never below `resolution`, so that no scale is stretched over rounding, nor below `FLOOR` of `movable`, all
    that could be moved, so that what moves hardly any of it looks pale; 1 where all of these are zero.
    """
    end = max(_largest(values), resolution or 0.0, FLOOR * abs(movable))
    return float(f"{end:.5g}") or 1.0


def stepped(base: float, largest: float) -> float:
    """`base`, the end of a scale that is kept while its values change, plus quarters where it is too low.

    So many quarters are added that it is not below `largest`, but for rounding.

    >>> stepped(2.0, 1.3), stepped(2.0, 2.1), stepped(2.0, 3.0)
    (2.0, 2.5, 3.0)
    """
    return base * max(1.0, math.ceil(4 * largest / base - 1e-3) / 4) if base else largest


def pale_note(
    values: Float[np.ndarray, "..."], resolution: float | None, movable: float, what: str = "effect"
) -> list[str]:
    """Lines that say so where a scale ends at `FLOOR` of `movable` because no value is as large.

    >>> pale_note(np.array([0.01]), None, 10.0)
    ['no effect reaches 1 % of the difference,', 'where the scale ends: colours are pale']
    """
    least = FLOOR * abs(movable)
    if not values.size or least <= max(_largest(values), resolution or 0.0):
        return []
    return [f"no {what} reaches {FLOOR:.0%} of the difference,".replace("%", " %"), PALE]


def _largest(values: Float[np.ndarray, "..."]) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def round_number_above(value: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below the positive `value`.

    >>> round_number_above(3.2), round_number_above(0.05), round_number_above(71.0)
    (5.0, 0.05, 100.0)
    """
    power = math.floor(math.log10(value))
    return next(step for factor in (1, 2, 5, 10) if (step := float(f"{factor}e{power}")) >= value)


def diverging(
    field: str, title: str | list[str], end: float, palette: Palette, form: str = PLAIN
) -> alt.Color:
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
            labelExpr=f"datum.value == 0 ? '0' : format(datum.value, '{form}')",
            orient="top",
            direction="horizontal",
            gradientLength=220,
        ),
    )


def by_sign(field: str, palette: Palette) -> alt.ColorValue:
    """The colour of a bar or point by the sign of `field`; zero has none."""
    signs = [(f"datum['{field}'] < 0", palette.negative), (f"datum['{field}'] > 0", palette.positive)]
    return chosen_by(signs, palette.muted)


def chosen_by(tests: Sequence[tuple[str, str]], otherwise: str) -> alt.ColorValue:
    """The colour beside the first of `tests`, which are Vega expressions, that holds.

    The same as `altair.when` says, which would look through the whole schema for it whenever a chart is made.
    """
    return alt.ColorValue(otherwise, condition=[{"test": test, "value": colour} for test, colour in tests])
