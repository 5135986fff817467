"""The strongest paths of all, over query, key and value: a ranked list, and one of them from near."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import answer
from analysis.errors import UnsupportedModelError
from analysis.results import PathsResult, StrongestPathsRequest
from pages.shared.cards import answer_or_stop
from pages.shared.choices import COMPONENT
from pages.shared.findings import strongest_path
from pages.shared.heights import kept_place
from pages.shared.keys import Key
from pages.shared.patching import edge_columns, edge_formats
from pages.shared.path_near import path_from_near, rank_of
from pages.shared.selection import path_label, selected_path, take
from pages.shared.shown_paths import of_strongest_paths
from pages.shared.take_along import take_along

if TYPE_CHECKING:
    import pandas as pd

#: Pixels of the list.
_HEIGHT = 320


def strongest_list(request: StrongestPathsRequest) -> pd.DataFrame | None:
    """Say what the strongest path is, and list the strongest; None where this model has no estimate."""
    try:
        waiting, kept = "Looking for the strongest paths", (UnsupportedModelError,)
        result = answer_or_stop(lambda: answer(request), waiting, kept).result
    except UnsupportedModelError:
        return None
    table = result.table()
    st.text(strongest_path(result))
    st.header("Strongest paths of all")
    _ranked(result, table)
    st.caption(
        f"The {len(table):,} largest estimates of all {result.n_paths:,} paths between heads, each measured. "
        "Select one to see it from near."
    )
    take_along(of_strongest_paths(result))
    return table


def _ranked(result: PathsResult, table: pd.DataFrame) -> None:
    """Draw the list; a row that is picked is selected."""
    shown = table.assign(
        rank=range(1, len(table) + 1),
        into=[COMPONENT.options[read].lower() for read in table["component"]],
        size=table["effect"].abs(),
    )
    event = kept_place("strongest", _HEIGHT).dataframe(
        edge_columns(shown, "rank", "source", "destination", "into", "size"),
        hide_index=True,
        width="stretch",
        height=_HEIGHT,
        # On a phone the last columns are beyond the edge, so the number comes before its picture.
        column_order=("rank", "source", "destination", "into", "effect", "recovery", "size"),
        key=Key.STRONGEST_TABLE,
        on_select="rerun",
        selection_mode="single-row",
        column_config=edge_formats(result.request.metric)
        | {
            "size": st.column_config.ProgressColumn(
                "size", format=" ", min_value=0.0, max_value=float(shown["size"].max() or 1.0)
            )
        },
    )
    rows = list(event.selection.rows)
    take(Key.STRONGEST_TABLE, rows, path_label(table.iloc[rows[0]]) if rows else None)


def selected_from_near(request: StrongestPathsRequest, *tables: pd.DataFrame | None) -> None:
    """The selected path, in whichever of `tables` it is, else the strongest of the first; from near."""
    known = [table for table in tables if table is not None and len(table)]
    for table in known:
        path = selected_path(table)
        if path is not None:
            rank = rank_of(path, table, "listed")
            break
    else:
        if not known:
            return
        path, rank = known[0].iloc[0], "The strongest."
    path_from_near(request, path, rank, elsewhere=True)
