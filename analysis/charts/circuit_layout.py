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
#: How far an MLP stands above the heads of its layer, as a share of a layer's height.
_ABOVE = 0.45


@dataclass(frozen=True)
class DrawnNode:
    """A node at its place: `x` in slots from the left, `y` in layers, the embedding at -1."""

    label: str
    kind: NodeKind
    x: float
    y: float
    used: bool
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class DrawnEdge:
    """A line between two nodes: one edge, or all that lead from one group, or into one, patched together.

    `reads` is by what the target reads: "q", "k", "v", "MLP", "logits", or "" where it is more than one.
    `share` is what the edges are worth, `measured` false where that is an estimate.
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
        reader = f"{self.target}.{self.reads}" if self.reads in ("q", "k", "v") else self.target
        return f"{self.source} → {reader}"


@dataclass(frozen=True)
class Drawing:
    """A circuit as it is drawn: every node of the model, and the lines of the circuit."""

    n_layers: int
    slots: int
    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]

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
    kept = set(pinned)
    edges = tuple(
        DrawnEdge(
            line.source,
            line.target,
            _reads(line.edges[0][1]),
            float(share),
            bool(known),
            all(edge in kept for edge in line.edges),
            line.edges,
        )
        for line, share, known in zip(lines, shares, measured, strict=True)
    )
    used = {edge.source for edge in edges} | {edge.target for edge in edges}
    places = _places(graph)
    grouped = {node for members in groups.values() for node in members}
    nodes = [
        DrawnNode(label, kind, x, y, label in used)
        for label, (kind, x, y) in places.items()
        if label not in grouped
    ]
    for name, members in groups.items():
        held = tuple(member for member in members if member in places)
        if held:
            x, y = np.mean([places[member][1:] for member in held], axis=0).tolist()
            nodes.append(DrawnNode(name, "group", x, y, name in used, held))
    return Drawing(graph.n_layers, graph.n_heads + 1, tuple(nodes), edges)


def _places(graph: Graph) -> dict[str, tuple[NodeKind, float, float]]:
    spine = (graph.n_heads + 1) // 2
    places: dict[str, tuple[NodeKind, float, float]] = {}
    for label, (layer, slot) in zip(graph.writers, graph.writer_places.tolist(), strict=True):
        if layer < 0:
            places[label] = ("embed", spine, -1.0)
        elif slot == graph.n_heads:
            places[label] = ("mlp", spine, layer + (0.0 if graph.parallel else _ABOVE))
        else:
            places[label] = ("head", slot + (slot >= spine), layer)
    return places | {"logits": ("logits", spine, float(graph.n_layers))}


def _reads(reader: str) -> str:
    node, _, reads = reader.partition(".")
    return reads or ("logits" if node == "logits" else "MLP")
