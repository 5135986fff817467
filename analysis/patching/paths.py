"""Paths between heads into q, k and v together: the strongest, one head's, given ones, all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from analysis.edges import Exchange, between_heads, effects_by_position, estimated_effects, measured_effects
from analysis.errors import PathscopeError
from analysis.experiment import Origin, alone_with
from analysis.labels import head_label
from analysis.metrics import metric_resolution, named_metric
from analysis.nodes import INPUTS, Graph, GraphEdges
from analysis.requests import HEAD_INPUTS
from analysis.results import (
    ChosenPathsRequest,
    EdgeLabels,
    HeadPathsRequest,
    PathEstimatesRequest,
    PathEstimatesResult,
    PathPositionsRequest,
    PathPositionsResult,
    PathsResult,
    StrongestPathsRequest,
)
from analysis.sweep import layer_norm_notes


class HeadsOnly:
    """An experiment's corrupted run into which the clean run's head outputs are patched, path by path.

    It runs the model, unless an `exchange` of both runs stands already, so it is made and used alone with it.
    """

    def __init__(
        self,
        request: StrongestPathsRequest
        | HeadPathsRequest
        | ChosenPathsRequest
        | PathEstimatesRequest
        | PathPositionsRequest,
        origin: Origin,
        exchange: Exchange | None = None,
    ) -> None:
        runs = origin.runs
        self._request, self._origin = request, origin
        self._metric = named_metric(request.metric, runs.pair, runs.clean.logits)
        self.exchange = exchange or Exchange.of(
            runs.model.bridge,
            runs.pair.corrupted,
            runs.pair.clean,
            self._metric,
            layer_norm=request.layer_norm,
        )

    @property
    def graph(self) -> Graph:
        """The writers, readers and edges of the model."""
        return self.exchange.graph

    @property
    def paths(self) -> Bool[np.ndarray, "writer reader"]:
        """Which edges are paths between heads."""
        return paths_between_heads(self.graph)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that every result about direct paths has."""
        runs, gate = self._origin.runs, self.exchange.gate
        corrupted, clean = (float(self._metric(run.logits)) for run in (runs.corrupted, runs.clean))
        return {
            "request": self._request,
            "corrupted_metric": corrupted,
            "clean_metric": corrupted if runs.pair.identical else clean,
            "clean_tokens": runs.pair.clean_tokens,
            "corrupted_tokens": runs.pair.corrupted_tokens,
            "provenance": self._origin.provenance(
                gate.engine,
                gate.gap,
                metric_resolution(self._metric, runs.corrupted.logits),
                layer_norm_notes(runs.model.bridge, self._request.layer_norm),
            ),
        }

    def result(self, edges: GraphEdges) -> PathsResult:
        """`edges`, from heads into q, k or v of heads, measured."""
        graph = self.graph
        effect = measured_effects(self.exchange, edges)
        reader = graph.reader_places[edges[:, 1]]
        return PathsResult(
            edges=np.column_stack([graph.writer_places[edges[:, 0]], reader[:, [0, 2]]]),
            components=reader[:, 1],
            effect=effect,
            n_layers=graph.n_layers,
            n_heads=graph.n_heads,
            **self.fields,
        )

    def strongest(self, estimate: Float[np.ndarray, "writer reader"], n_paths: int) -> PathsResult:
        """Of the paths between heads the `n_paths` with the largest estimates, measured."""
        edges = np.argwhere(self.paths)
        order = np.argsort(-np.abs(estimate[tuple(edges.T)]), kind="stable")
        return self.result(edges[order[:n_paths]])

    def estimates(self, estimate: Float[np.ndarray, "writer reader"]) -> PathEstimatesResult:
        """Of all estimates those of the paths between heads."""
        of_inputs = [between_heads(self.graph, estimate, component) for component in HEAD_INPUTS]
        return PathEstimatesResult(estimate=np.stack(of_inputs), **self.fields)

    def index(self, paths: EdgeLabels) -> GraphEdges:
        """`paths` by their indices. Raises `PathscopeError` for what is no path between heads."""
        edges = self.graph.index(paths)
        others = ~self.paths[tuple(edges.T)]
        if others.any():
            writer, reader = self.graph.labels(edges[others])[0]
            raise PathscopeError(
                f"The path from {writer} to {reader} is not one between heads. Choose a head that writes and "
                "q, k or v of a later one, such as ('L0H0', 'L1H0.v')."
            )
        return edges


def strongest_paths_result(request: StrongestPathsRequest, origin: Origin) -> PathsResult:
    """The paths with the largest estimates, measured. Raises what `StrongestPathsRequest` says."""
    with torch.inference_mode(False), torch.no_grad(), alone_with(origin.runs.model):
        heads = HeadsOnly(request, origin)
        return heads.strongest(estimated_effects(heads.exchange, wanted=heads.paths), request.n_paths)


def head_paths_result(request: HeadPathsRequest, origin: Origin) -> PathsResult:
    """Every path out of a head and into it. Raises `PathscopeError` for a head that there is not."""
    with torch.inference_mode(False), torch.no_grad(), alone_with(origin.runs.model):
        heads = HeadsOnly(request, origin)
        return heads.result(_paths_of(heads.graph, request.layer, request.head))


def chosen_paths_result(request: ChosenPathsRequest, origin: Origin) -> PathsResult:
    """The paths that are asked for. Raises `PathscopeError` for what is no path between heads."""
    with torch.inference_mode(False), torch.no_grad(), alone_with(origin.runs.model):
        heads = HeadsOnly(request, origin)
        return heads.result(heads.index(request.paths))


def path_estimates_result(request: PathEstimatesRequest, origin: Origin) -> PathEstimatesResult:
    """Every path into q, k and v, estimated. Raises what `PathEstimatesRequest` says."""
    with torch.inference_mode(False), torch.no_grad(), alone_with(origin.runs.model):
        heads = HeadsOnly(request, origin)
        return heads.estimates(estimated_effects(heads.exchange, wanted=heads.paths))


def path_positions_result(request: PathPositionsRequest, origin: Origin) -> PathPositionsResult:
    """One path at one position at a time. Raises what `PathPositionsRequest` says."""
    with torch.inference_mode(False), torch.no_grad(), alone_with(origin.runs.model):
        heads = HeadsOnly(request, origin)
        edges = heads.index((request.path,))
        [effect], [whole] = (
            effects_by_position(heads.exchange, edges),
            measured_effects(heads.exchange, edges),
        )
        return PathPositionsResult(effect=effect, whole=float(whole), **heads.fields)


def paths_between_heads(graph: Graph) -> Bool[np.ndarray, "writer reader"]:
    """Which edges of `graph` lead from a head into q, k or v of another."""
    return np.logical_or.reduce([graph.heads_into(component) for component in HEAD_INPUTS])


def _paths_of(graph: Graph, layer: int, head: int) -> Int[np.ndarray, "edge 2"]:
    if not (0 <= layer < graph.n_layers and 0 <= head < graph.n_heads):
        raise PathscopeError(
            f"The model has no head {head_label(layer, head)}: choose a layer from 0 to "
            f"{graph.n_layers - 1} and a head from 0 to {graph.n_heads - 1}."
        )
    place: list[Any] = [layer, head]
    writers = (graph.writer_places == place).all(axis=1)
    readers = (graph.reader_places[:, [0, 2]] == place).all(axis=1)
    readers &= graph.reader_places[:, 1] < INPUTS.index("mlp")
    return np.argwhere(paths_between_heads(graph) & (writers[:, None] | readers[None, :]))
