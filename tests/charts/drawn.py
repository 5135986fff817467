"""A chart as it is drawn: marks, axes and legends, read back from Vega's drawing of it.

Places are pixels of the plot, and are named by the labels that stand on the axes beside them. What
a pointer is told is the tooltip that Vega makes for the very mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import vl_convert

from analysis.charts import Theme
from analysis.charts.export import picture
from tests.chart_samples import Chart

Colour = tuple[int, int, int]

#: What a click on a cell selects.
EDGE_FIELDS = ("sl", "sh", "dl", "dh")
_IS, _AND = "␟", "␞"


@dataclass(frozen=True)
class Mark:
    """One mark: its extent, colour (None where it has no filling), text and tooltip.

    `told` maps the titles of the tooltip to its texts; a tooltip of one text has the title "".
    `edge` holds those of the `EDGE_FIELDS` that the row behind it has, which a click hands on.
    """

    kind: str
    left: float
    right: float
    top: float
    bottom: float
    fill: Colour | None
    opacity: float
    text: str
    told: dict[str, str]
    edge: dict[str, int]

    @property
    def x(self) -> float:
        """The middle, from the left."""
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        """The middle, from the top."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Axis:
    """Title and labels of an axis, each label with its pixel."""

    title: str
    labels: tuple[tuple[str, float], ...]

    def nearest(self, pixel: float) -> str:
        """The label next to `pixel`."""
        return min(self.labels, key=lambda label: abs(label[1] - pixel))[0]

    def read(self, pixel: float) -> float:
        """The number at `pixel` of an axis whose labels are numbers."""
        (first, start), (last, end) = self.labels[0], self.labels[-1]
        low, high = as_number(first), as_number(last)
        return low + (pixel - start) / (end - start) * (high - low)


@dataclass(frozen=True)
class Legend:
    """Title, labels and colours of a legend; a gradient's colours run from its first label to its last."""

    title: str
    labels: tuple[str, ...]
    colours: tuple[Colour, ...]


@dataclass(frozen=True)
class Drawing:
    """A drawn chart."""

    marks: tuple[Mark, ...]
    bottom: Axis
    left: Axis
    legends: tuple[Legend, ...]

    def of(self, kind: str, *told: str) -> list[Mark]:
        """Marks of one kind whose tooltip has all the titles `told`."""
        return [mark for mark in self.marks if mark.kind == kind and {*told} <= {*mark.told}]

    def place(self, mark: Mark) -> tuple[str, str]:
        """The labels beside and below `mark`."""
        return self.left.nearest(mark.y), self.bottom.nearest(mark.x)

    def legend(self, title: str) -> Legend:
        """The one legend of this title."""
        (found,) = (legend for legend in self.legends if legend.title == title)
        return found


def drawing(chart: Chart, theme: Theme = "light", width: int | None = None) -> Drawing:
    """`chart` as Vega draws it, its plot `width` pixels wide or as wide as in a picture."""
    spec = picture(chart, theme)
    return drawing_of(spec if width is None else spec | {"width": width})


def drawing_of(spec: dict[str, Any]) -> Drawing:
    """A Vega-Lite specification with its data inside, as Vega draws it."""
    vega = vl_convert.vegalite_to_vega(spec)
    for mark in _every_mark(vega):
        update = mark["encode"]["update"]
        # A scene graph has descriptions but no tooltips: here the one carries the other.
        update["description"] = {"signal": _told(update.get("tooltip", {}).get("signal"))}
    (root,) = vl_convert.vega_to_scenegraph(vega)["scenegraph"]["items"]
    groups = root["items"]
    marks = tuple(mark for group in groups if group["role"] == "mark" for mark in _marks(group))
    axes = {
        group["items"][0]["orient"]: group["items"][0]
        for group in groups
        if group["role"] == "axis"
        and any(part["role"] == "axis-label" for part in group["items"][0]["items"])
    }
    legends = tuple(_legend(group) for group in groups if group["role"] == "legend")
    return Drawing(marks, _axis(axes["bottom"], "x"), _axis(axes["left"], "y"), legends)


def as_number(text: str) -> float:
    """The number that `text` says, with Vega's minus and percent signs."""
    value = float(re.sub(r"[,%]", "", text.replace("\N{MINUS SIGN}", "-")))
    return value / 100 if text.endswith("%") else value


def colour(text: str) -> Colour:
    """`#rrggbb` or `rgb(r, g, b)` as three numbers.

    >>> colour("#ff0010"), colour("rgb(1, 2, 3)")
    ((255, 0, 16), (1, 2, 3))
    """
    if text.startswith("#"):
        red, green, blue = (int(text[i : i + 2], 16) for i in (1, 3, 5))
    else:
        red, green, blue = map(int, re.findall(r"\d+", text))
    return red, green, blue


def distance(one: Colour, other: Colour) -> float:
    """How far two colours lie apart."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of WCAG 2.1, from 1 for equal colours to 21 for black on white."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(fill: Colour) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in fill)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _every_mark(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for mark in node["marks"]:
        if "marks" in mark:
            yield from _every_mark(mark)
        else:
            yield mark


def _told(tooltip: str | None) -> str:
    """Vega's expression for one string: the titles and texts of a tooltip, and the fields of an edge."""
    texts = {field: f"datum.{field}" for field in EDGE_FIELDS}
    if tooltip is not None and tooltip.startswith("{"):
        titles = re.findall(r'"([^"]+)": (?:isValid|format)', tooltip)
        texts |= {title: f'({tooltip})["{title}"]' for title in titles}
    elif tooltip is not None:
        texts[""] = tooltip
    told = ", ".join(f"'{title}{_IS}' + ({text})" for title, text in texts.items())
    return f"join([{told}], '{_AND}')"


def _marks(group: dict[str, Any]) -> Iterator[Mark]:
    for item in group["items"]:
        told = dict(text.split(_IS) for text in item["description"].split(_AND))
        edge = {field: told.pop(field) for field in EDGE_FIELDS}
        x, y = item.get("x", 0.0), item.get("y", 0.0)
        fill = item.get("fill")
        yield Mark(
            kind=group["marktype"],
            left=x,
            right=x + item.get("width", 0.0),
            top=y,
            bottom=y + item.get("height", 0.0),
            fill=colour(fill) if fill and fill != "transparent" else None,
            opacity=item.get("opacity", 1.0),
            text=_text(item.get("text", "")),
            told=told,
            edge={field: int(number) for field, number in edge.items() if number.isdecimal()},
        )


def _axis(group: dict[str, Any], along: str) -> Axis:
    titles = [item for part in group["items"] if part["role"] == "axis-title" for item in part["items"]]
    labels = [item for part in group["items"] if part["role"] == "axis-label" for item in part["items"]]
    return Axis(
        title=" ".join(_text(item["text"]) for item in titles),
        labels=tuple(
            (_text(item["text"]), item[along])
            for item in labels
            if _text(item["text"]) and item.get("opacity", 1)
        ),
    )


def _legend(group: dict[str, Any]) -> Legend:
    found: dict[str, list[Any]] = {}
    for part in _parts(group):
        found.setdefault(part["role"], []).extend(part["items"])
    fills = [item["fill"] for item in found.get("legend-symbol", [])]
    for item in found.get("legend-gradient", []):
        fills += [stop["color"] for stop in item["fill"]["stops"]]
    return Legend(
        title=" ".join(_text(item["text"]) for item in found.get("legend-title", [])),
        labels=tuple(_text(item["text"]) for item in found["legend-label"]),
        colours=tuple(colour(fill) for fill in fills if fill),
    )


def _parts(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All groups of marks below `node`."""
    if "role" in node:
        yield node
    for item in node.get("items", []):
        yield from _parts(item)


def _text(text: Any) -> str:
    return " ".join(map(str, text)) if isinstance(text, list) else str(text)
