"""A circuit laid out by token position: each write stands over the token at which it matters most.

An edge into a query, an MLP or the logits is read where it is written, so it runs upwards over one token.
Keys and values are read at the token where they stand by heads that write elsewhere: these lines cross
from column to column, and are how the model moves what it knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate

from analysis.charts.circuit_layout import (
    Drawing,
    DrawnNode,
    drawn_edge,
    height_of,
    heights_of,
    kinds_of,
    node_of,
)
from analysis.labels import token_of_both
from analysis.nodes import Graph
from analysis.results import EdgePositionsResult

#: Width of a position at which nothing is drawn, and of a node.
_EMPTY, _NODE = 0.2, 1.0


def positions_drawing(
    places: EdgePositionsResult,
    shares: Sequence[float],
    measured: Sequence[bool],
    pinned: Collection[tuple[str, str]] = (),
) -> Drawing:
    """The circuit of the edges of `places`, each where its writer is patched to most effect.

    A head that is told something stands where it writes in this circuit; at the last token if it writes to
    nothing that is drawn.
    """
    graph, edges, positions = places.graph, places.request.edges, places.strongest
    n_positions = len(places.clean_tokens)
    writes_at: dict[str, set[int]] = defaultdict(set)
    for (writer, _), position in zip(edges, positions, strict=True):
        writes_at[writer].add(position)
    lines = tuple(
        drawn_edge(_name(edge[0], position), _name(node_of(edge[1]), target), (edge,), share, known, pinned)
        for edge, position, share, known in zip(edges, positions, shares, measured, strict=True)
        for target in _read_for(edge[1], position, writes_at, n_positions)
    )
    names = sorted({end for line in lines for end in (line.source, line.target)}, key=_split)
    columns, used = _columns(graph, names, n_positions), {_split(name)[1] for name in names}
    *layers, top = heights_of(graph, {_split(name)[0] for name in names})
    under = tuple(
        (left + width / 2, _token(places, position))
        for position, (left, width) in enumerate(columns)
        if position in used
    )
    right = sum(width for _, width in columns)
    return Drawing(-0.4, right, tuple(layers), top, _nodes(graph, names, columns), lines, under)


def _token(places: EdgePositionsResult, position: int) -> str:
    """The token at a position; both where the prompts differ."""
    return token_of_both(places.corrupted_tokens[position], places.clean_tokens[position])


def _read_for(reader: str, position: int, writes_at: dict[str, set[int]], n_positions: int) -> list[int]:
    """The positions at which what `reader` makes of what stands at `position` is written."""
    node, _, reads = reader.partition(".")
    if reads not in ("k", "v"):
        return [position]
    return sorted(at for at in writes_at[node] if at >= position) or [n_positions - 1]


def _cells(graph: Graph, names: Iterable[str]) -> dict[tuple[int, int, bool], list[str]]:
    """The nodes that share a place: one position, one layer, heads apart from MLPs that stand above them."""
    kinds, found = kinds_of(graph), defaultdict(list)
    for name in names:
        label, position = _split(name)
        kind, layer = kinds[label]
        found[position, layer, kind == "mlp" and not graph.parallel].append(name)
    return found


def _columns(graph: Graph, names: Sequence[str], n_positions: int) -> list[tuple[float, float]]:
    """Left end and width of each position's column, as wide as its fullest place needs."""
    widths = [_EMPTY] * n_positions
    for (position, _, _), held in _cells(graph, names).items():
        widths[position] = max(widths[position], _NODE * len(held))
    return list(zip(accumulate([0.0, *widths]), widths, strict=False))


def _nodes(
    graph: Graph, names: Sequence[str], columns: Sequence[tuple[float, float]]
) -> tuple[DrawnNode, ...]:
    kinds, heights = kinds_of(graph), heights_of(graph, {_split(name)[0] for name in names})
    nodes = []
    for (position, layer, _), held in _cells(graph, names).items():
        left, width = columns[position]
        for index, name in enumerate(held):
            label = _split(name)[0]
            kind, x = kinds[label][0], left + (index + 0.5) * width / len(held)
            nodes.append(DrawnNode(name, label, kind, x, height_of(kind, layer, heights, graph), True))
    return tuple(nodes)


def _name(label: str, position: int) -> str:
    return f"{label}@{position}"


def _split(name: str) -> tuple[str, int]:
    label, _, position = name.partition("@")
    return label, int(position)
