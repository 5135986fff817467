"""A drawn circuit as an ECharts option: zoom and move it, hover a node for its edges, click to select."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import combinations
from typing import Any

from analysis.charts.circuit_layout import Drawing, DrawnEdge, DrawnNode, NodeKind
from analysis.charts.themes import FONT, PALETTES, Palette, Theme
from analysis.labels import percent, printable

#: Dashes and gaps of lines into a head, in widths of the line: they tell q, k and v apart without colour.
#: A line into an MLP or the logits, which read in one way, is solid.
DASHES: dict[str, tuple[float, ...]] = {"q": (5, 2), "k": (4, 2, 0.1, 2), "v": (0.1, 2)}
#: Of more lines than this the letters on them would hide the picture.
MOST_LETTERS = 60
#: Height of a layer in pixels: few layers may spread, many have to fit a screen.
_LOWEST, _HIGHEST, _SCREEN = 40, 64, 640
#: Of the weakest line and of the strongest, in pixels.
WIDTHS = 1.2, 7.0
_SYMBOLS: dict[NodeKind, tuple[str, list[int]]] = {
    "embed": ("roundRect", [64, 20]),
    "head": ("roundRect", [38, 17]),
    "mlp": ("rect", [44, 16]),
    "logits": ("roundRect", [64, 20]),
    "group": ("roundRect", [92, 24]),
}
#: Pixels that a node takes beside another, and sizes where there is less.
_ROOM = 42
_SHORT: dict[NodeKind, list[int]] = {"head": [24, 15], "mlp": [34, 15]}


def graph_height(drawing: Drawing) -> int:
    """Pixels that the graph is high."""
    return round(drawing.top * min(_HIGHEST, max(_LOWEST, _SCREEN / drawing.top))) + 40


def circuit_graph(
    drawing: Drawing, theme: Theme, selected: str | None = None, badges: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The option for ECharts. Data of the series stand in the order of `drawing`; after them, names.

    `selected` is the label of the node, or of the line, that is marked; `badges` has what stands under a
    node's name.
    """
    palette = PALETTES[theme]
    end = max((abs(edge.share) for edge in drawing.edges), default=1.0) or 1.0
    many = len(drawing.edges) > MOST_LETTERS
    axis = {"type": "value", "show": False}
    names = _names(drawing, palette)
    nodes = [_node(node, palette, selected, (badges or {}).get(node.label)) for node in drawing.nodes]
    return {
        "backgroundColor": "transparent",
        "textStyle": {"fontFamily": FONT},
        "animation": False,
        "tooltip": {"confine": True, "borderWidth": 1},
        "grid": {"left": 30, "right": 4, "top": 18, "bottom": 34 if drawing.columns else 18},
        "xAxis": axis | {"min": drawing.left, "max": drawing.right},
        "yAxis": axis | {"min": 0, "max": drawing.top},
        "dataZoom": [
            {"type": "inside", axis: 0, "filterMode": "none", "minSpan": 10}
            for axis in ("xAxisIndex", "yAxisIndex")
        ],
        "series": [
            {
                "type": "graph",
                "coordinateSystem": "cartesian2d",
                "layout": "none",
                "selectedMode": "single",
                "data": nodes + names,
                "links": [_line(edge, palette, end, many, selected) for edge in drawing.edges],
                "edgeSymbol": ["none", "arrow"],
                "edgeSymbolSize": 6,
                "emphasis": {"focus": "adjacency", "lineStyle": {"opacity": 1}},
                "labelLayout": {"hideOverlap": False},
                "cursor": "pointer",
            }
        ],
        "media": _where_narrow(drawing, nodes, names),
    }


def _where_narrow(
    drawing: Drawing, nodes: list[dict[str, Any]], names: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What replaces the data where neighbours would overlap: heads without their layer, told at the left.

    Roles are left out then; the table of roles has them.
    """
    nearest = min(_distances(drawing), default=0.0)
    if not nearest:
        return []
    short = [_shortened(shown, node) for shown, node in zip(nodes, drawing.nodes, strict=True)]
    width = round((drawing.right - drawing.left) / nearest * _ROOM)
    return [{"query": {"maxWidth": width}, "option": {"series": [{"data": short + names}]}}]


def _distances(drawing: Drawing) -> Iterator[float]:
    """From each node to the next one that stands beside it, in slots."""
    used = sorted(drawing.used, key=lambda node: node.x)
    for left, right in combinations(used, 2):
        if abs(left.y - right.y) < 0.3:
            yield right.x - left.x


def _shortened(shown: dict[str, Any], node: DrawnNode) -> dict[str, Any]:
    if not node.used or node.kind not in _SHORT:
        return shown
    name = node.label.partition("H")
    written = f"H{name[2]}" if node.kind == "head" else node.label
    return shown | {
        "symbolSize": _SHORT[node.kind],
        "label": shown["label"] | {"formatter": _as_text(written), "fontSize": 9},
    }


def _id(node: str) -> str:
    """Of a node; a group may be called like the name of a layer, or like a number."""
    return f"node {node}"


def _as_text(text: str) -> str:
    """`text` as a label's formatter, where ``{b}`` would be filled in: no brace opens a word."""
    return text.replace("{", "{\u2060")


def _as_html(text: str) -> str:
    """`text` as a tooltip's formatter, which is a template like a label's, and HTML."""
    return escape(text).replace("{", "&#123;")


def _names(drawing: Drawing, palette: Palette) -> list[dict[str, Any]]:
    """The names of layers at the left, where something of them is drawn, and what stands below."""
    busy = {node.y for node in drawing.used}
    layers = [(f"L{layer}", drawing.left, y, "left") for layer, y in enumerate(drawing.layers) if y in busy]
    columns = [(text, x, 0.0, "bottom") for x, text in drawing.columns]
    return [
        {
            "id": f"name {index}",
            "name": f"name {index}",
            "value": [x, y],
            "symbolSize": 0,
            "label": {
                "show": True,
                "position": side,
                "distance": 0 if side == "left" else 14,
                "color": palette.muted,
                "fontSize": 11,
                "formatter": _as_text(printable(text, 14)),
            },
            "tooltip": {"show": False},
        }
        for index, (text, x, y, side) in enumerate(layers + columns)
    ]


def _node(node: DrawnNode, palette: Palette, selected: str | None, badge: str | None) -> dict[str, Any]:
    name = _id(node.name)
    shown: dict[str, Any] = {"id": name, "name": name, "value": [node.x, node.y]}
    if not node.used:
        return shown | {
            "symbol": "circle",
            "symbolSize": 4,
            "itemStyle": {"color": palette.line},
            "label": {"show": False},
            "tooltip": {"formatter": _as_html(f"{printable(node.label, 200)}: no path of it is drawn")},
        }
    symbol, size = _SYMBOLS[node.kind]
    written = printable(node.label, 18)
    marked = node.label == selected
    filled = node.kind in ("embed", "logits", "group")
    told = f"{node.label}: {', '.join(node.members)}" if node.members else node.label
    return shown | {
        "symbol": symbol,
        "symbolSize": [6 * len(badge) + 10, 30] if badge else size,
        "itemStyle": {
            "color": palette.line if filled else palette.background,
            "borderColor": palette.text if marked else palette.muted,
            "borderWidth": 3 if marked else 1,
        },
        "label": {
            "show": True,
            "formatter": _as_text(f"{written}\n{badge}" if badge else written),
            "color": palette.text,
            "fontSize": 10,
            "lineHeight": 12,
            "fontWeight": "bold" if marked else "normal",
        },
        "tooltip": {"formatter": _as_html(printable(told, 200))},
    }


def _line(edge: DrawnEdge, palette: Palette, end: float, many: bool, selected: str | None) -> dict[str, Any]:
    thin, thick = WIDTHS
    strength = abs(edge.share) / end
    marked = edge.label == selected
    width = thin + (thick - thin) * strength + 2 * marked
    return {
        "source": _id(edge.source),
        "target": _id(edge.target),
        "value": edge.share,
        "lineStyle": {
            "color": palette.positive if edge.share >= 0 else palette.negative,
            "width": width,
            "type": [round(part * max(width, 2.0), 2) for part in DASHES.get(edge.reads, ())] or "solid",
            "cap": "round",
            "opacity": 1.0 if marked else (0.5 + 0.4 * strength) * (1.0 if edge.measured else 0.6),
            "curveness": curve_of(edge),
        },
        "label": {
            "show": not many and edge.reads in ("q", "k", "v"),
            "formatter": edge.reads,
            "color": palette.muted,
            "fontSize": 10,
        },
        "tooltip": {"formatter": _as_html(line_in_words(edge))},
    }


def line_in_words(edge: DrawnEdge) -> str:
    """What a line is, what it is worth and how that is known."""
    how = "measured" if edge.measured else "estimate"
    several = f", {len(edge.edges)} paths together" if len(edge.edges) > 1 else ""
    pinned = ", in my circuit" if edge.pinned else ""
    return f"{printable(edge.label, 200)}: {percent(edge.share, 1)} ({how}{several}{pinned})"


def curve_of(edge: DrawnEdge) -> float:
    """Lines between the same two nodes, and those along the spine, part by what the target reads."""
    return {"q": 0.1, "k": 0.18, "v": 0.26, "MLP": 0.22, "logits": 0.14}.get(edge.reads, 0.2)
