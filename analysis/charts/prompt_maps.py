"""Direct attribution in every prompt of a set: small maps on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from analysis.charts.attention import CALLED
from analysis.charts.maps import Maps, maps_chart
from analysis.charts.scales import told_from_zero
from analysis.charts.themes import Theme
from analysis.labels import counted, node_name
from analysis.labels import number as signed
from analysis.results import NodeAttributionResult, RunShown

#: Cells that a browser draws without delay, and columns of them that can be told apart side by side.
_MOST_CELLS, _MOST_COLUMNS = 6_000, 60


def most_maps(results: Sequence[NodeAttributionResult]) -> int:
    """How many of the maps are drawn: all, or as many as have `_MOST_CELLS` together."""
    return min(len(results), max(1, _MOST_CELLS // max(1, len(results[0].labels))))


def attribution_maps_chart(
    results: Sequence[NodeAttributionResult],
    numbers: Sequence[int],
    shown: RunShown = "clean",
    theme: Theme = "light",
) -> alt.LayerChart:
    """A map of layers by heads, MLPs beside, for each prompt at its last token; the embedding on top.

    All are of one model and on one colour scale, in logits; `numbers` are those by which prompts are called.
    """
    rows, columns, places = results[0].map_places()
    values = np.full((len(results), len(rows), len(columns)), np.nan)
    for into, result in zip(values, results, strict=True):
        into[tuple(places.T)] = told_from_zero(result, result.shown(shown)[:, -1])
    cells = [[""] * len(columns) for _ in rows]
    for label, (row, column) in zip(results[0].labels, places.tolist(), strict=True):
        cells[row][column] = node_name(label)
    # Biases of attention, the last column, only where there are any.
    kept = len(columns) if np.nan_to_num(values[..., -1]).any() else len(columns) - 1
    maps = Maps(
        titles=[f"prompt {number}" for number in numbers],
        values=values[..., :kept],
        rows=rows,
        columns=columns[:kept],
        down="layer",
        across="head",
        cells=cells,
        measure="logits",
        resolution=results[0].provenance.resolution,
    )
    return maps_chart(maps, max(1, _MOST_COLUMNS // (kept + 1)), _description(maps, shown), theme)


def _description(maps: Maps, shown: RunShown) -> str:
    size = np.nan_to_num(np.abs(maps.values))
    which, row, column = map(int, np.unravel_index(size.argmax(), size.shape))
    return (
        f"Direct logit attribution in {counted(len(maps.titles), 'prompt')}, {CALLED[shown]}. Largest: "
        f"{maps.cells[row][column]} in {maps.titles[which]} with "
        f"{signed(float(maps.values[which, row, column]), '+.3g')} logits."
    )
