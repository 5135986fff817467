"""A drawn circuit as a chart that becomes a picture: the same places, colours and dashes as on the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.circuit_graph import DASHES, WIDTHS, curve_of, graph_height
from analysis.charts.circuit_layout import Drawing, DrawnEdge, DrawnNode
from analysis.charts.layout import PICTURE_WIDTH
from analysis.charts.themes import PALETTES, Palette, Theme, drawn
from analysis.labels import printable

#: Points of a curved line.
_POINTS = 20
#: How far from the middle of the node at its end a line stops, in slots and in heights of a layer.
_CLEAR = 0.5, 0.22
_WAYS = {"q": "query", "k": "key", "v": "value"}
_OTHER = "MLP or logits"


def circuit_chart(drawing: Drawing, theme: Theme = "light", width: int = PICTURE_WIDTH) -> alt.LayerChart:
    """`drawing` with a legend; nodes that nothing is drawn of are left out.

    Arrows point the right way in a picture of that `width`.
    """
    palette = PALETTES[theme]
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[drawing.left, drawing.right], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.35, drawing.top + 0.35], nice=False))
    layers = [_lines(drawing, palette, x, y), _arrows(drawing, width, palette, x, y)]
    layers += [*_boxes(drawing, palette, x, y), _names(drawing, palette, x, y)]
    described = f"A circuit of {len(drawing.edges)} paths between {len(drawing.used)} nodes."
    return drawn(layers, theme, graph_height(drawing), described)


def _lines(drawing: Drawing, palette: Palette, x: alt.X, y: alt.Y) -> alt.Chart:
    strongest = max((abs(edge.share) for edge in drawing.edges), default=1.0) or 1.0
    rows = [
        {
            "line": index,
            "step": step,
            "x": px,
            "y": py,
            "pushes": _pushes(edge),
            "read by": _WAYS.get(edge.reads, _OTHER),
            "width": WIDTHS[0] + (WIDTHS[1] - WIDTHS[0]) * abs(edge.share) / strongest,
        }
        for index, (edge, points) in enumerate(_curves(drawing))
        for step, (px, py) in enumerate(points)
    ]
    columns = ["line", "step", "x", "y", "pushes", "read by", "width"]
    return (
        alt.Chart(pd.DataFrame(rows, columns=columns))
        .mark_line(opacity=0.8, strokeCap="butt")
        .encode(
            x=x,
            y=y,
            order="step:Q",
            detail="line:N",
            strokeWidth=alt.StrokeWidth("width:Q", scale=None, legend=None),
            color=_colour(palette, legend=True),
            strokeDash=alt.StrokeDash(
                "read by:N",
                scale=alt.Scale(
                    domain=[*_WAYS.values(), _OTHER],
                    range=[[round(3 * part) or 1 for part in DASHES[way]] for way in _WAYS] + [[1, 0]],
                ),
                legend=alt.Legend(
                    title="read by",
                    orient="top",
                    symbolType="stroke",
                    symbolSize=500,
                    symbolStrokeWidth=2,
                    symbolStrokeColor=palette.text,
                ),
            ),
        )
    )


def _arrows(drawing: Drawing, width: int, palette: Palette, x: alt.X, y: alt.Y) -> alt.Chart:
    rows = [
        {
            "x": points[-1][0],
            "y": points[-1][1],
            "angle": _angle(drawing, width, points),
            "pushes": _pushes(edge),
        }
        for edge, points in _curves(drawing)
    ]
    return (
        alt.Chart(pd.DataFrame(rows, columns=["x", "y", "angle", "pushes"]))
        .mark_point(shape="triangle", size=40, filled=True, opacity=1)
        .encode(x=x, y=y, angle=alt.Angle("angle:Q", scale=None), color=_colour(palette, legend=False))
    )


def _boxes(drawing: Drawing, palette: Palette, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """MLPs as boxes, all others rounded."""
    return [
        alt.Chart(_corners(node for node in drawing.used if (node.kind == "mlp") is is_mlp))
        .mark_rect(
            fill=palette.background,
            stroke=palette.muted,
            strokeWidth=1,
            opacity=1,
            cornerRadius=0 if is_mlp else 5,
        )
        .encode(x=x, x2="x2:Q", y=y, y2="y2:Q")
        for is_mlp in (True, False)
    ]


def _corners(nodes: Iterable[DrawnNode]) -> pd.DataFrame:
    rows = [
        {"x": node.x - half, "x2": node.x + half, "y": node.y - 0.19, "y2": node.y + 0.19}
        for node in nodes
        for half in [_half_width(node)]
    ]
    return pd.DataFrame(rows, columns=["x", "x2", "y", "y2"])


def _names(drawing: Drawing, palette: Palette, x: alt.X, y: alt.Y) -> alt.Chart:
    rows = [{"x": node.x, "y": node.y, "name": printable(node.label, 18)} for node in drawing.used]
    rows += [{"x": at, "y": -0.33, "name": printable(text, 14)} for at, text in drawing.columns]
    busy = {node.y for node in drawing.used}
    rows += [
        {"x": drawing.left, "y": height, "name": f"L{layer}"}
        for layer, height in enumerate(drawing.layers)
        if height in busy
    ]
    return (
        alt.Chart(pd.DataFrame(rows, columns=["x", "y", "name"]))
        .mark_text(fontSize=10, color=palette.text)
        .encode(x=x, y=y, text="name:N")
    )


def _colour(palette: Palette, legend: bool) -> alt.Color:
    return alt.Color(
        "pushes:N",
        scale=alt.Scale(
            domain=["towards the clean run", "away from it"], range=[palette.positive, palette.negative]
        ),
        legend=alt.Legend(title=None, orient="top", symbolType="square") if legend else None,
    )


def _pushes(edge: DrawnEdge) -> str:
    return "towards the clean run" if edge.share >= 0 else "away from it"


def _half_width(node: DrawnNode) -> float:
    return {"head": 0.43, "mlp": 0.45, "group": 0.9}.get(node.kind, 0.6)


def _curves(drawing: Drawing) -> Iterator[tuple[DrawnEdge, list[tuple[float, float]]]]:
    """Each line as points from node to node: a quadratic Bézier curve, bent as on the page."""
    places: Mapping[str, DrawnNode] = {node.name: node for node in drawing.nodes}
    for edge in drawing.edges:
        one, other = places[edge.source], places[edge.target]
        start, end = np.array([one.x, one.y]), np.array([other.x, other.y])
        across = np.array([start[1] - end[1], end[0] - start[0]])
        bend = (start + end) / 2 + curve_of(edge) * across
        t = np.linspace(0.0, 1.0, _POINTS)[:, None]
        points = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        clear = (np.abs(points - start) > _CLEAR).any(1) & (np.abs(points - end) > _CLEAR).any(1)
        yield (
            edge,
            [(float(px), float(py)) for px, py in (points[clear] if clear.sum() > 1 else points[1:-1])],
        )


def _angle(drawing: Drawing, width: int, points: list[tuple[float, float]]) -> float:
    """Clockwise from upwards, in degrees, of the end of a line as it is seen."""
    (x0, y0), (x1, y1) = points[-2:]
    right = (x1 - x0) * width / (drawing.right - drawing.left)
    up = (y1 - y0) * graph_height(drawing) / (drawing.top + 0.7)
    return math.degrees(math.atan2(right, up))
