"""The places between which a path may run: who writes to the residual stream, and who reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from analysis.errors import PathscopeError
from analysis.labels import head_label

#: By what a reader takes in the residual stream; a reader's place names one by its index.
INPUTS = ("q", "k", "v", "mlp", "logits")

#: Edges of a graph as (index of the writer, index of the reader).
GraphEdges = Int[np.ndarray, "edge 2"]


@dataclass(frozen=True)
class Graph:
    """The residual graph of a decoder: writers, readers, and an edge from each writer to each later reader.

    Writers, in the order in which they run: ``embed`` (token and position embedding together), and of
    each layer its heads ``L3H7`` and its MLP ``MLP3``. Readers: of each layer q of all heads
    (``L3H7.q``), then k, then v, then the MLP's input ``MLP3``; last the ``logits``. With grouped keys
    the reader is a query head with its own copy of the shared key or value. In a `parallel` block the
    MLP reads what attention reads, otherwise also what its own block's heads write. Left out: biases;
    they write the same in every run, but for one that a norm of the attention output scales (GLM 4).

    >>> len(Graph(12, 12)), len(Graph(30, 9))
    (32491, 123211)
    """

    n_layers: int
    n_heads: int
    has_mlps: bool = True
    parallel: bool = False

    @cached_property
    def writer_places(self) -> Int[np.ndarray, "writer 2"]:
        """(layer, head) of every writer; an MLP stands after the last head, ``embed`` in layer -1."""
        slots = self.n_heads + self.has_mlps
        later = [(layer, slot) for layer in range(self.n_layers) for slot in range(slots)]
        return np.array([(-1, self.n_heads), *later])

    @cached_property
    def reader_places(self) -> Int[np.ndarray, "reader 3"]:
        """(layer, index in `INPUTS`, head) of every reader; the logits stand in the layer after the last."""
        places = []
        for layer in range(self.n_layers):
            places += [(layer, of_head, head) for of_head in range(3) for head in range(self.n_heads)]
            places += [(layer, INPUTS.index("mlp"), 0)] * self.has_mlps
        return np.array([*places, (self.n_layers, INPUTS.index("logits"), 0)])

    @cached_property
    def exists(self) -> Bool[np.ndarray, "writer reader"]:
        """Whether there is an edge: the writer has written before the reader reads."""
        layer, slot = self.writer_places.T
        written = 2 * layer + (slot == self.n_heads)
        layer, reads, _ = self.reader_places.T
        read = 2 * layer + ((reads == INPUTS.index("mlp")) & (not self.parallel))
        return written[:, None] < read[None, :]

    @cached_property
    def edges(self) -> GraphEdges:
        """Every edge, by writer and then reader."""
        return np.argwhere(self.exists)

    def __len__(self) -> int:
        return int(self.exists.sum())

    @cached_property
    def writers(self) -> tuple[str, ...]:
        """The label of every writer."""
        return tuple(self._writer(*place) for place in self.writer_places.tolist())

    @cached_property
    def readers(self) -> tuple[str, ...]:
        """The label of every reader."""
        return tuple(self._reader(*place) for place in self.reader_places.tolist())

    def first_writer(self, layer: int) -> int:
        """Index of the first head of `layer` among the writers; its MLP follows its last head."""
        return 1 + layer * (self.n_heads + self.has_mlps)

    def between_heads(self, paths: Int[np.ndarray, "edge 4"], component: str) -> GraphEdges:
        """`paths` (source layer, source head, destination layer, destination head) into `component`."""
        source_layer, source, layer, head = np.asarray(paths).T
        reads = INPUTS.index(component)
        writer = self.first_writer(source_layer) + source
        reader = layer * (3 * self.n_heads + self.has_mlps) + reads * self.n_heads + head
        return np.stack([writer, reader], axis=1)

    def heads_into(self, component: str) -> Bool[np.ndarray, "writer reader"]:
        """The edges from a head into q, k or v of a later head: what path patching measures."""
        heads = (self.writer_places[:, 0] >= 0) & (self.writer_places[:, 1] < self.n_heads)
        readers = self.reader_places[:, 1] == INPUTS.index(component)
        return self.exists & heads[:, None] & readers[None, :]

    @cached_property
    def edge_kinds(self) -> Int[np.ndarray, "writer reader"]:
        """A number for what writes and what reads an edge, -1 where there is none.

        ``embed``, heads and MLPs write; q, k, v, MLPs and logits read.
        """
        layer, slot = self.writer_places.T
        writes = np.where(layer < 0, 0, np.where(slot < self.n_heads, 1, 2))
        kinds = writes[:, None] * len(INPUTS) + self.reader_places[None, :, 1]
        return np.where(self.exists, kinds, -1)

    def writer(self, label: str) -> int:
        """The index of a writer by its label.

        Raises `PathscopeError` for one that the model does not have.

        >>> Graph(2, 2).writer("MLP0")
        3
        """
        try:
            return self._writer_index[label]
        except (KeyError, TypeError) as error:
            raise PathscopeError(
                f"The model has no {label!r} that writes to its residual stream. Choose 'embed', a head from "
                f"{self.writers[1]!r} to {head_label(self.n_layers - 1, self.n_heads - 1)!r}"
                + (f", or an MLP from 'MLP0' to {self.writers[-1]!r}." if self.has_mlps else ".")
            ) from error

    def labels(self, edges: GraphEdges) -> list[tuple[str, str]]:
        """`edges` as pairs of labels."""
        return [(self.writers[writer], self.readers[reader]) for writer, reader in np.asarray(edges).tolist()]

    def index(self, edges: Iterable[Sequence[str]]) -> GraphEdges:
        """Pairs of labels (writer, reader) as edges.

        Raises `PathscopeError` for a place that the model does not have, and for a path that cannot exist.

        >>> graph = Graph(2, 2)
        >>> graph.labels(graph.index([("embed", "L1H0.q"), ("MLP1", "logits")]))
        [('embed', 'L1H0.q'), ('MLP1', 'logits')]
        """
        found = [self._edge(edge) for edge in edges]
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def _edge(self, edge: Any) -> tuple[int, int]:
        try:
            writer, reader = edge
            pair = self._writer_index[writer], self._reader_index[reader]
        except (TypeError, ValueError) as error:
            raise PathscopeError(
                f"{edge!r} is no edge; give the labels of a writer and a reader, such as "
                f"{(self.writers[1], self.readers[-1])}."
            ) from error
        except KeyError as error:
            raise PathscopeError(
                f"The model has no {error.args[0]!r} at this end of an edge. Writers are 'embed' to "
                f"{self.writers[-1]!r}, readers {self.readers[0]!r} to {self.readers[-2]!r} and 'logits'."
            ) from error
        if not self.exists[pair]:
            raise PathscopeError(
                f"There is no path from {writer} to {reader}: {reader} reads the residual stream before "
                f"{writer} writes to it."
            )
        return pair

    @cached_property
    def _writer_index(self) -> dict[str, int]:
        return {label: index for index, label in enumerate(self.writers)}

    @cached_property
    def _reader_index(self) -> dict[str, int]:
        return {label: index for index, label in enumerate(self.readers)}

    def _writer(self, layer: int, slot: int) -> str:
        if layer < 0:
            return "embed"
        return f"MLP{layer}" if slot == self.n_heads else head_label(layer, slot)

    def _reader(self, layer: int, reads: int, head: int) -> str:
        if INPUTS[reads] == "logits":
            return "logits"
        return f"MLP{layer}" if INPUTS[reads] == "mlp" else f"{head_label(layer, head)}.{INPUTS[reads]}"


def causal_edges(n_layers: int, n_heads: int) -> Bool[np.ndarray, "layer head layer head"]:
    """Which (source, destination) pairs of heads have a causal path: True at [sl, sh, dl, dh] where dl > sl.

    >>> int(causal_edges(12, 12).sum())
    9504
    """
    layers = np.arange(n_layers)
    later = layers[:, None, None, None] < layers[None, None, :, None]
    return np.broadcast_to(later, (n_layers, n_heads, n_layers, n_heads))
