"""What holds of the colours of every signed chart, whatever it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.charts import Theme
from analysis.charts.themes import PALETTES
from tests.charts.drawn import Colour, Legend, Mark, as_number, colour, distance

#: How far strength may stray from size, as a share of the scale: strength is measured in RGB, and colours
#: are mixed in Lab.
_STRAY = 0.05
#: Colours have 256 steps; of less than this share of the scale they tell nothing.
_FAINT = 0.02


def warmth(fill: Colour, theme: Theme) -> int:
    """Above zero for orange, below for blue, zero for the neutral colour."""
    middle = colour(PALETTES[theme].neutral)
    return (fill[0] - fill[2]) - (middle[0] - middle[2])


def coloured_by_value(cells: Sequence[tuple[float, Mark]], legend: Legend, theme: Theme) -> None:
    """Orange is above zero and blue below, as strong as the value is large; the legend says the same."""
    low, zero, high = map(as_number, legend.labels)
    assert low == -high < zero == 0
    assert warmth(legend.colours[0], theme) < 0 < warmth(legend.colours[-1], theme)
    neutral = colour(PALETTES[theme].neutral)
    assert {math.copysign(1, value) for value, _ in cells} == {-1, 1}, "a sample needs both signs"
    for value, mark in cells:
        assert mark.fill is not None
        end = legend.colours[-1 if value > 0 else 0]
        size = abs(value) / high
        # Three digits in the legend may round the largest value down.
        assert size < 1.01
        assert math.isclose(distance(mark.fill, neutral) / distance(end, neutral), size, abs_tol=_STRAY)
        if size > _FAINT:
            assert math.copysign(1, warmth(mark.fill, theme)) == math.copysign(1, value)
