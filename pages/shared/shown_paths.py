"""Results of path patching as they are shown and leave; see `pages.shared.shown_results`."""

from __future__ import annotations

import numpy as np

from analysis.labels import counted, head_label
from analysis.requests import HEAD_INPUTS
from analysis.results import (
    AllSourcesResult,
    EffectScale,
    HeadPathsRequest,
    KnownPaths,
    PathMap,
    PathResult,
    PathsResult,
)
from pages.shared.choices import COMPONENT
from pages.shared.findings import strongest_path
from pages.shared.shown import Draw, Shown, rounding

_ESTIMATED = "the others are estimates, exact at the destination and linear after it"
_TOGETHER = "into query, key or value, whichever is strongest"


def of_path(result: PathResult, scale: EffectScale) -> Shown:
    """Every path from one head into one input of later heads."""
    from analysis.charts import path_chart

    asked = result.request
    source = head_label(asked.source_layer, asked.source_head)
    read = COMPONENT.options[asked.component].lower()
    return Shown.of(
        result,
        name=f"paths_from_{source}_{asked.component}",
        title=f"Direct paths from {source} into each later head's {read}",
        sentence=strongest_path(result),
        measured=f"Every path is measured, patched alone, LayerNorm {asked.layer_norm}{rounding(result)}.",
        table=result.table(),
        draw=lambda theme, _: path_chart(result, scale, theme),
    )


def of_all_sources(
    result: AllSourcesResult,
    scale: EffectScale,
    drawn: AllSourcesResult | PathMap | None = None,
    draw: Draw | None = None,
) -> Shown:
    """Every path between heads into one of query, key and value.

    `drawn` is what the page shows in place of `result`, and `draw` how, where that is not all of it head by
    head.
    """
    from analysis.charts import all_sources_chart

    asked, together = result.request, isinstance(drawn, PathMap)
    known = f"All {counted(result.n_total, 'path')} are measured"
    if not result.complete:
        known = f"{result.n_done:,} of {result.n_total:,} paths are measured; {_ESTIMATED}"
    into = _TOGETHER if together else f"into the {COMPONENT.options[asked.component].lower()}"
    return Shown.of(
        result,
        name=f"all_sources_{'qkv' if together else asked.component}",
        title=f"Every direct path between heads {into}",
        sentence=strongest_path(result),
        measured=f"{known}, LayerNorm {asked.layer_norm}{rounding(result)}.",
        table=(result if drawn is None else drawn).table(),
        draw=draw or (lambda theme, _: all_sources_chart(result, scale, theme)),
    )


def of_path_estimates(known: KnownPaths, drawn: PathMap, draw: Draw) -> Shown:
    """Every path between heads before a sweep: all that is estimated, and the strongest measured."""
    estimates = known.estimates
    inputs = {HEAD_INPUTS[index] for index in np.unique(drawn.component[~np.isnan(drawn.effect)])}
    into = f"into the {COMPONENT.options[inputs.pop()].lower()}" if len(inputs) == 1 else _TOGETHER
    return Shown.of(
        estimates,
        name=f"path_estimates_{'qkv' if into == _TOGETHER else into.split()[-1][0]}",
        title=f"Every direct path between heads {into}",
        sentence="",
        measured=f"{counted(int(drawn.measured.sum()), 'path')} of {int((~np.isnan(drawn.effect)).sum()):,} "
        f"are measured; {_ESTIMATED}, LayerNorm {estimates.request.layer_norm}{rounding(estimates)}.",
        table=drawn.table(),
        draw=draw,
    )


def of_strongest_paths(result: PathsResult) -> Shown:
    """The strongest paths between heads over query, key and value."""
    table = result.table()
    return Shown.of(
        result,
        name="strongest_paths",
        title="The strongest direct paths between heads",
        sentence=strongest_path(result),
        measured=f"Each of these {len(table):,} paths is measured, patched alone, LayerNorm "
        f"{result.request.layer_norm}. They have the largest estimates of all {result.n_paths:,}; that no "
        f"other is stronger is not proved{rounding(result)}.",
        table=table,
        draw=None,
    )


def of_head_paths(result: PathsResult, scale: EffectScale) -> Shown:
    """Every path of one head: those out of it, and those into it."""
    from analysis.charts import head_paths_chart

    asked = result.request
    assert isinstance(asked, HeadPathsRequest)
    table = result.table()
    tells = (table["source"] == asked.label).any() or table.empty
    return Shown.of(
        result,
        name=f"paths_of_{asked.label}",
        title=f"Whom {asked.label} tells" if tells else f"Who tells {asked.label}",
        sentence=strongest_path(result) if len(table) else "",
        measured=f"All {counted(len(table), 'path')} out of and into {asked.label} are measured, each "
        f"patched alone, LayerNorm {asked.layer_norm}{rounding(result)}.",
        table=table,
        draw=lambda theme, _: head_paths_chart(result, "source" if tells else "destination", scale, theme),
    )
