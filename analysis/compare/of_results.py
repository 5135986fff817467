"""Stored results, two by two, as comparisons. Models of different shape have no items in common."""

from __future__ import annotations

import numpy as np

from analysis.compare.comparison import Comparison
from analysis.errors import PathscopeError
from analysis.labels import head_label, node_name
from analysis.requests import METRIC_UNITS
from analysis.results import (
    AllSourcesResult,
    NodeAttributionResult,
    PatchingResult,
    PathResult,
    PathsResult,
    Result,
    RunShown,
)
from analysis.sets import path_agreement


def attribution_comparison(
    a: tuple[NodeAttributionResult, RunShown, int], b: tuple[NodeAttributionResult, RunShown, int]
) -> Comparison:
    """Direct logit attribution of every node that writes in either, each at a position of its own prompt.

    Each side is a result, the run (or difference of runs) of it and a position. Raises `PathscopeError`
    for models of different shape.
    """
    one, other = a[0], b[0]
    check_shapes((one.n_layers, one.n_heads), (other.n_layers, other.n_heads))
    values = np.stack([result.shown(run)[:, result.position(position)] for result, run, position in (a, b)])
    (writes,) = np.nonzero(values.any(axis=0))
    rows, columns, places = one.map_places()
    return Comparison(
        labels=tuple(node_name(one.labels[index]) for index in writes),
        a=values[0, writes],
        b=values[1, writes],
        unit="logits",
        resolutions=_resolutions(one, other),
        places=places[writes],
        rows=rows,
        columns=columns[: int(places[writes, 1].max(initial=0)) + 1],
    )


def path_comparison(a: PathResult, b: PathResult) -> Comparison:
    """The paths from one head to every later head, by their effects.

    Raises `PathscopeError` for models of different shape, other heads and other metrics.
    """
    check_shapes(a.values.shape, b.values.shape)
    _check_metrics(a, b)
    asked = a.request
    sources = [(one.request.source_layer, one.request.source_head, one.request.component) for one in (a, b)]
    if sources[0] != sources[1]:
        raise PathscopeError("The paths begin at other heads or lead into other inputs. Choose the same.")
    n_layers, n_heads = a.values.shape
    places = np.argwhere(np.isfinite(a.values) & np.isfinite(b.values))
    source, first = head_label(asked.source_layer, asked.source_head), asked.source_layer + 1
    return Comparison(
        labels=tuple(f"{source} → {head_label(*place)}.{asked.component}" for place in places.tolist()),
        a=a.effect[tuple(places.T)],
        b=b.effect[tuple(places.T)],
        unit=METRIC_UNITS[asked.metric],
        resolutions=_resolutions(a, b),
        places=places - np.array([first, 0]),
        rows=tuple(map(str, range(first, n_layers))),
        columns=tuple(map(str, range(n_heads))),
    )


def strongest_comparison(
    a: PathsResult, b: PathsResult, left: tuple[PathsResult | None, PathsResult | None]
) -> Comparison:
    """Every path that is among the strongest of A or of B, by its effect.

    `a` and `b` answer a `StrongestPathsRequest`, and `left` measures what of `analysis.sets.paths_to_compare`
    they do not hold; None where they hold all. Raises `PathscopeError` for models of different shape and
    other metrics.
    """
    check_shapes((a.n_layers, a.n_heads), (b.n_layers, b.n_heads))
    _check_metrics(a, b)
    both = path_agreement((a, b), left)
    return Comparison(
        labels=both.labels,
        a=both.effect[0],
        b=both.effect[1],
        unit=METRIC_UNITS[a.request.metric],
        resolutions=_resolutions(a, b),
    )


def sweep_comparison(a: AllSourcesResult, b: AllSourcesResult) -> Comparison:
    """Every path from a head to a later one that is measured in both, by its effect.

    Raises `PathscopeError` for models of different shape, other inputs and other metrics.
    """
    check_shapes(a.values.shape, b.values.shape)
    _check_metrics(a, b)
    if a.request.component != b.request.component:
        raise PathscopeError("The paths lead into other inputs. Choose the same.")
    edges = np.argwhere(a.measured & b.measured)
    component = a.request.component
    return Comparison(
        labels=tuple(
            f"{head_label(sl, sh)} → {head_label(dl, dh)}.{component}" for sl, sh, dl, dh in edges.tolist()
        ),
        a=a.effect[tuple(edges.T)],
        b=b.effect[tuple(edges.T)],
        unit=METRIC_UNITS[a.request.metric],
        resolutions=_resolutions(a, b),
    )


def check_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """Raise `PathscopeError` where two models have not as many layers, and heads in each."""
    if a[:2] != b[:2]:
        raise PathscopeError(
            f"A has {a[0]} layers of {a[1]} heads, B has {b[0]} of {b[1]}: a head of one is no head of the "
            "other, so nothing can be subtracted. Choose a model of the same shape, such as a checkpoint."
        )


def _check_metrics(a: PatchingResult, b: PatchingResult) -> None:
    if a.request.metric != b.request.metric:
        raise PathscopeError("The metrics are not the same, so nothing can be subtracted. Choose one metric.")


def _resolutions(a: Result, b: Result) -> tuple[float, float]:
    return a.provenance.resolution or 0.0, b.provenance.resolution or 0.0
