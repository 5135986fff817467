"""Where the nodes and edges of a drawn circuit stand, whoever draws them.

Layers go upwards, the embedding below them and the logits above. Heads stand to the left and to the right
of a spine of MLPs, each a little above the heads of its layer, since it runs after them. A group is one node
in the middle of its members.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.nodes import Graph
from analysis.results import EdgeLabels

NodeKind = Literal["embed", "head", "mlp", "logits", "group"]
#: Heights of a layer at which a path ends, of one without, and of what stands before and after all layers.
_FULL, _EMPTY, _END = 1.0, 0.3, 0.9
#: How far an MLP stands above the heads of its layer.
_ABOVE = 0.5


@dataclass(frozen=True)
class DrawnNode:
    """A node at its place: `x` in slots from the left, `y` upwards in heights of a layer.

    `name` is its own in the drawing, `label` that of the node of the model, or of the group of `members`.
    """

    name: str
    label: str
    kind: NodeKind
    x: float
    y: float
    used: bool
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class DrawnEdge:
    """A line between two nodes: one edge, or all that lead from one group, or into one, patched together.

    `source` and `target` are names of nodes. `reads` is by what the target reads: "q", "k", "v", "MLP" or
    "logits". `share` is what the edges are worth, `measured` false where that is an estimate.
    """

    source: str
    target: str
    reads: str
    share: float
    measured: bool
    pinned: bool
    edges: EdgeLabels

    @property
    def label(self) -> str:
        """The line in words."""
        if len(self.edges) == 1:
            return " → ".join(self.edges[0])
        return f"{self.source} → {self.target}" + (f".{self.reads}" if self.reads in ("q", "k", "v") else "")


@dataclass(frozen=True)
class Drawing:
    """A circuit as it is drawn: its nodes, and the lines between them.

    `left` and `right` are its ends, in slots. `layers` tells where each layer's heads stand, `top` where
    the logits do, and `columns` what stands under the drawing at which `x`.
    """

    left: float
    right: float
    layers: tuple[float, ...]
    top: float
    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]
    columns: tuple[tuple[float, str], ...] = ()

    @property
    def used(self) -> tuple[DrawnNode, ...]:
        """The nodes at which a line ends."""
        return tuple(node for node in self.nodes if node.used)


@dataclass(frozen=True)
class Line:
    """What is to be drawn as one line: edges of the graph with one source node and one target node."""

    source: str
    target: str
    edges: EdgeLabels


def node_of(reader: str) -> str:
    """The node to which a reader belongs.

    >>> node_of("L3H7.q"), node_of("MLP3"), node_of("logits")
    ('L3H7', 'MLP3', 'logits')
    """
    return reader.partition(".")[0]


def lines_of(edges: EdgeLabels, groups: Mapping[str, Collection[str]]) -> tuple[Line, ...]:
    """The lines of a circuit whose nodes may stand in named groups; edges within a group are none.

    Edges between single nodes are lines of their own. Between groups, or a group and a node, all
    edges by one kind of reading are one line.
    """
    group_of = {node: name for name, members in groups.items() for node in members}
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for writer, reader in edges:
        node = node_of(reader)
        source, target = group_of.get(writer, writer), group_of.get(node, node)
        if source != target or node not in group_of:
            found[source, target, _reads(reader)].append((writer, reader))
    return tuple(Line(source, target, tuple(held)) for (source, target, _), held in found.items())


def drawing_of(
    graph: Graph,
    lines: Sequence[Line],
    shares: Sequence[float],
    measured: Sequence[bool],
    groups: Mapping[str, Collection[str]],
    pinned: Collection[tuple[str, str]] = (),
) -> Drawing:
    """The circuit of `lines`, each with what it is worth, as it is drawn. A node of a group is not drawn."""
    edges = tuple(
        drawn_edge(line.source, line.target, line.edges, share, known, pinned)
        for line, share, known in zip(lines, shares, measured, strict=True)
    )
    ends = {edge.source for edge in edges} | {edge.target for edge in edges}
    used = {node for edge in edges for pair in edge.edges for node in map(node_of, pair)}
    places = _places(graph, used)
    grouped = {node for members in groups.values() for node in members}
    nodes = [
        DrawnNode(label, label, kind, x, y, label in ends)
        for label, (kind, x, y) in places.items()
        if label not in grouped
    ]
    for name, members in groups.items():
        held = tuple(member for member in members if member in places)
        if held:
            x, y = np.mean([places[member][1:] for member in held], axis=0).tolist()
            x, y = _free_place(nodes, x, y)
            nodes.append(DrawnNode(name, name, "group", x, y, name in ends, held))
    *layers, top = heights_of(graph, used)
    return Drawing(-0.6, graph.n_heads + 0.6, tuple(layers), top, tuple(nodes), edges)


def _free_place(nodes: Collection[DrawnNode], x: float, y: float) -> tuple[float, float]:
    """The place nearest above (`x`, `y`) at which a group hides none of `nodes`."""
    steps = (y + _ABOVE * _FULL * step for step in range(4 * len(nodes) + 1))
    return x, next(up for up in steps if not any(_close(node, x, up) for node in nodes))


def _close(node: DrawnNode, x: float, y: float) -> bool:
    """Whether a group at that place would hide `node`."""
    return node.used and abs(node.x - x) < 1.5 and abs(node.y - y) < 0.3


def drawn_edge(
    source: str,
    target: str,
    edges: EdgeLabels,
    share: float,
    measured: bool,
    pinned: Collection[tuple[str, str]],
) -> DrawnEdge:
    """A line for `edges`, which are all read in one way; pinned if all of them are."""
    kept = all(edge in pinned for edge in edges)
    return DrawnEdge(source, target, _reads(edges[0][1]), float(share), bool(measured), kept, edges)


def heights_of(graph: Graph, used: Collection[str]) -> list[float]:
    """Where each layer's heads stand, and last the logits; layers without a `used` node take little room."""
    busy = {layer for label, (_, layer) in kinds_of(graph).items() if label in used}
    steps = [_FULL if layer in busy else _EMPTY for layer in range(graph.n_layers)]
    return np.cumsum([_END, *steps[:-1], steps[-1] + _END / 2]).tolist()


def kinds_of(graph: Graph) -> dict[str, tuple[NodeKind, int]]:
    """Kind and layer of every node by its label, from the embedding, in layer -1, to the logits."""
    found: dict[str, tuple[NodeKind, int]] = {}
    for label, (layer, slot) in zip(graph.writers, graph.writer_places.tolist(), strict=True):
        found[label] = ("embed" if layer < 0 else "mlp" if slot == graph.n_heads else "head", layer)
    return found | {"logits": ("logits", graph.n_layers)}


def height_of(kind: NodeKind, layer: int, heights: Sequence[float], graph: Graph) -> float:
    """Where a node stands: an MLP above the heads of its layer, unless it runs beside them."""
    if kind == "embed":
        return 0.0
    return heights[layer] + (_ABOVE if kind == "mlp" and not graph.parallel else 0.0) * (
        min(_FULL, heights[min(layer + 1, graph.n_layers)] - heights[layer])
    )


def _places(graph: Graph, used: Collection[str]) -> dict[str, tuple[NodeKind, float, float]]:
    """Every node by its label: heads at the sides of a spine on which all others stand."""
    spine, heights = (graph.n_heads + 1) // 2, heights_of(graph, used)
    slots = dict(zip(graph.writers, graph.writer_places[:, 1].tolist(), strict=True))
    places: dict[str, tuple[NodeKind, float, float]] = {}
    for label, (kind, layer) in kinds_of(graph).items():
        slot = slots.get(label, spine)
        x = slot + (slot >= spine) if kind == "head" else spine
        places[label] = (kind, x, height_of(kind, layer, heights, graph))
    return places


def _reads(reader: str) -> str:
    node, _, reads = reader.partition(".")
    return reads or ("logits" if node == "logits" else "MLP")
