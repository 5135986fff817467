"""How large a picture is and what is written on it: as on the screen, or to fit a column or a page."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, Literal

from analysis.charts.themes import FONT, Palette
from analysis.labels import printable

#: How wide a picture is.
PictureWidth = Literal["screen", "column", "page"]
#: Inches of the whole picture: one column of a conference's two, and both with the gap between them.
INCHES: dict[PictureWidth, float] = {"column": 3.25, "page": 6.75}
#: Pixels of an inch, in SVG as in browsers.
PIXELS = 96
#: Width of the plot in a picture as on the screen; on a page it takes what room there is.
PICTURE_WIDTH = 720
#: Points of a chart's labels as it is drawn.
DRAWN_POINTS = 9.0
#: Characters of a line of small print under a picture of that width.
LINE = 120
_SMALL, _LARGE = 10, 13


@dataclass(frozen=True)
class Layout:
    """`points` are those of the labels, and all other text in proportion; a `title` may be empty.

    The caption is what was found and where the numbers come from. On "screen" the plot is `PICTURE_WIDTH`
    pixels wide, else the whole picture is as wide as `INCHES` says.
    """

    width: PictureWidth = "screen"
    points: float = DRAWN_POINTS
    title: str = ""
    caption: bool = True

    @property
    def pixels(self) -> int:
        """Of the plot on the screen, of the whole picture on paper."""
        inches = INCHES.get(self.width)
        return PICTURE_WIDTH if inches is None else round(inches * PIXELS)

    def of(self, spec: dict[str, Any], palette: Palette, caption: list[str]) -> dict[str, Any]:
        """`spec`, a layered chart's, so laid out, with `caption`, a paragraph each, where one is wanted."""
        sized: dict[str, Any] = spec
        if self.width != "screen":
            sized = spec | {"width": self.pixels, "autosize": {"type": "fit-x", "contains": "padding"}}
            sized["config"] = spec["config"] | {"padding": 2}
        lines = [line for text in caption for line in self._wrapped(text, _SMALL)] if self.caption else []
        titled = sized | self._written(self._wrapped(printable(self.title), _LARGE), lines, palette)
        factor = self.points / DRAWN_POINTS
        resized: dict[str, Any] = titled if factor == 1 else _resized(titled, factor)
        return resized

    def _wrapped(self, text: str, size: int) -> list[str]:
        share = self.pixels / PICTURE_WIDTH * _SMALL / size * DRAWN_POINTS / self.points
        return textwrap.wrap(text, max(20, round(LINE * share)))

    def _written(self, title: list[str], caption: list[str], palette: Palette) -> dict[str, Any]:
        """A title stands above; with a caption it begins that, below, as captions in print do."""
        small = {"font": FONT, "fontSize": _SMALL, "fontWeight": "normal", "color": palette.muted}
        large = {"font": FONT, "fontSize": _LARGE, "fontWeight": 600, "color": palette.text}
        if not title and not caption:
            return {}
        if not title:
            return {"title": {"text": caption, "orient": "bottom", "anchor": "start", "offset": 16, **small}}
        own = {"text": title, "anchor": "start", "offset": 12, **large}
        if not caption:
            return {"title": own}
        below = {f"subtitle{name[0].upper()}{name[1:]}": value for name, value in small.items()}
        return {"title": own | {"subtitle": caption, "orient": "bottom", "subtitlePadding": 4, **below}}


def _resized(part: Any, factor: float) -> Any:
    """`part` of a specification with every size of text times `factor`."""
    if isinstance(part, list):
        return [_resized(item, factor) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        name: value * factor
        if name.lower().endswith("fontsize") and isinstance(value, int | float)
        # The tables hold what was measured.
        else (value if name == "datasets" else _resized(value, factor))
        for name, value in part.items()
    }
