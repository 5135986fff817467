"""A drawn circuit as an ECharts option: zoom and move it, hover a node for its edges, click to select."""

from __future__ import annotations

from html import escape
from typing import Any

from analysis.charts.circuit_layout import Drawing, DrawnEdge, DrawnNode, NodeKind
from analysis.charts.themes import FONT, PALETTES, Palette, Theme
from analysis.labels import printable

#: What tells q, k, v and the others apart without colour: dashes and gaps in pixels.
DASHES: dict[str, list[int]] = {
    "q": [],
    "k": [9, 5],
    "v": [2, 4],
    "MLP": [12, 3, 2, 3],
    "logits": [12, 3, 2, 3],
}
#: Of more lines than this the letters on them would hide the picture.
MOST_LETTERS = 60
#: Height of a layer in pixels: few layers may spread, many have to fit a screen.
_LOWEST, _HIGHEST, _SCREEN = 23, 56, 620
_WIDTHS = 1.2, 7.0
_SYMBOLS: dict[NodeKind, tuple[str, list[int]]] = {
    "embed": ("roundRect", [64, 20]),
    "head": ("roundRect", [42, 18]),
    "mlp": ("rect", [46, 17]),
    "logits": ("roundRect", [64, 20]),
    "group": ("roundRect", [92, 24]),
}


def graph_height(drawing: Drawing) -> int:
    """Pixels that the graph is high."""
    rows = drawing.n_layers + 2
    return round(rows * min(_HIGHEST, max(_LOWEST, _SCREEN / rows))) + 30


def circuit_graph(drawing: Drawing, theme: Theme, selected: str | None = None) -> dict[str, Any]:
    """The option for ECharts. Data of the series stand in the order of `drawing`.

    `selected` is the label of the node, or of the line, that is marked.
    """
    palette = PALETTES[theme]
    end = max((abs(edge.share) for edge in drawing.edges), default=1.0) or 1.0
    many = len(drawing.edges) > MOST_LETTERS
    hidden = {"show": False}
    return {
        "backgroundColor": "transparent",
        "textStyle": {"fontFamily": FONT},
        "animation": False,
        "tooltip": {"confine": True, "borderWidth": 1},
        "grid": {"left": 34, "right": 12, "top": 14, "bottom": 10},
        "xAxis": {"type": "value", "min": -0.6, "max": drawing.slots - 0.4, **hidden},
        "yAxis": {
            "type": "value",
            "min": -1,
            "max": drawing.n_layers,
            "interval": 1 if drawing.n_layers <= 16 else 5,
            "splitLine": hidden,
            "axisLine": hidden,
            "axisTick": hidden,
            "axisLabel": {
                "formatter": "L{value}",
                "color": palette.muted,
                "fontSize": 11,
                "showMinLabel": False,
                "showMaxLabel": False,
            },
        },
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
                "data": [_node(node, palette, selected) for node in drawing.nodes],
                "links": [_line(edge, palette, end, many, selected) for edge in drawing.edges],
                "edgeSymbol": ["none", "arrow"],
                "edgeSymbolSize": 6,
                "emphasis": {"focus": "adjacency", "lineStyle": {"opacity": 1}},
                "select": {"itemStyle": {}, "lineStyle": {}},
                "labelLayout": {"hideOverlap": False},
                "cursor": "pointer",
            }
        ],
    }


def _node(node: DrawnNode, palette: Palette, selected: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": node.label, "name": node.label, "value": [node.x, node.y]}
    if not node.used:
        return shown | {
            "symbol": "circle",
            "symbolSize": 4,
            "itemStyle": {"color": palette.line},
            "label": {"show": False},
            "tooltip": {"formatter": f"{escape(node.label)}: no path of it is drawn"},
        }
    symbol, size = _SYMBOLS[node.kind]
    marked = node.label == selected
    filled = node.kind in ("embed", "logits", "group")
    told = f"{node.label}: {', '.join(node.members)}" if node.members else node.label
    return shown | {
        "symbol": symbol,
        "symbolSize": size,
        "itemStyle": {
            "color": palette.line if filled else palette.background,
            "borderColor": palette.text if marked else palette.muted,
            "borderWidth": 3 if marked else 1,
        },
        "label": {
            "show": True,
            "formatter": printable(node.label, 18),
            "color": palette.text,
            "fontSize": 10,
            "fontWeight": "bold" if marked else "normal",
        },
        "tooltip": {"formatter": escape(printable(told, 200))},
    }


def _line(edge: DrawnEdge, palette: Palette, end: float, many: bool, selected: str | None) -> dict[str, Any]:
    thin, thick = _WIDTHS
    strength = abs(edge.share) / end
    marked = edge.label == selected
    return {
        "source": edge.source,
        "target": edge.target,
        "value": edge.share,
        "lineStyle": {
            "color": palette.positive if edge.share >= 0 else palette.negative,
            "width": thin + (thick - thin) * strength + 2 * marked,
            "type": DASHES.get(edge.reads) or "solid",
            "opacity": 1.0 if marked else (0.5 + 0.4 * strength) * (1.0 if edge.measured else 0.6),
            "curveness": _curve(edge),
        },
        "label": {
            "show": not many and edge.reads in ("q", "k", "v"),
            "formatter": edge.reads,
            "color": palette.muted,
            "fontSize": 10,
        },
        "tooltip": {"formatter": escape(line_in_words(edge))},
    }


def line_in_words(edge: DrawnEdge) -> str:
    """What a line is, what it is worth and how that is known."""
    how = "measured" if edge.measured else "estimate"
    several = f", {len(edge.edges)} paths together" if len(edge.edges) > 1 else ""
    pinned = ", in my circuit" if edge.pinned else ""
    return f"{printable(edge.label, 200)}: {edge.share:+.1%} ({how}{several}{pinned})"


def _curve(edge: DrawnEdge) -> float:
    """Lines between the same two nodes, and those along the spine, part by what the target reads."""
    return {"q": 0.1, "k": 0.18, "v": 0.26, "MLP": 0.22, "logits": 0.14}.get(edge.reads, 0.2)
