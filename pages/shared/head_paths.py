"""Every path of one head on one scale: whom it tells, who tells it, and one of them from near."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import answer
from analysis.results import EffectScale, HeadPathsRequest, PathsResult
from pages.shared.cards import answer_or_stop
from pages.shared.heights import draw_chart
from pages.shared.keys import Key
from pages.shared.path_near import path_from_near, rank_of
from pages.shared.selection import path_label, selected_path, selection_box
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import altair as alt

    from analysis.charts import HeadEnd

_TITLES: dict[HeadEnd, str] = {"source": "Whom {} tells", "destination": "Who tells {}"}
_NOBODY: dict[HeadEnd, str] = {
    "source": "{} is in the last layer: no later head can read it.",
    "destination": "{} is in the first layer: no earlier head can tell it anything.",
}


def head_paths_panel(request: HeadPathsRequest, scale: EffectScale) -> PathsResult:
    """Both maps of the head's paths, and the path that is selected, else the strongest, from near."""
    from analysis.charts import head_paths_chart

    result = answer_or_stop(lambda: answer(request), f"Patching every path of {request.label}").result
    table = result.table()
    ends: list[HeadEnd] = [end for end in _TITLES if (table[end] == request.label).any()]
    for end, title in _TITLES.items():
        st.header(title.format(request.label))
        if end in ends:
            _map(head_paths_chart(result, end, scale, current_theme()), end)
        else:
            st.caption(_NOBODY[end].format(request.label))
    if len(table):
        path = selected_path(table)
        path = table.iloc[0] if path is None else path
        told = "Click a path, or choose it here, to see it from near"
        labels = [path_label(row) for row in table.to_dict("records")]
        selection_box(Key.PATH_LIST, told, labels, path_label(path))
        rank = rank_of(path, table, f"paths of {request.label}")
        path_from_near(request, path, rank, elsewhere=False)
    return result


def _map(chart: alt.LayerChart, end: HeadEnd) -> None:
    """Draw the paths of which the head is the `end`; a click selects one."""
    draw_chart(
        f"paths_{end}",
        chart,
        key=f"{Key.HEAD_PATHS}_{end}",
        on_select=lambda: _take_click(end),
        selection_mode="path",
    )


def _take_click(end: HeadEnd) -> None:
    """Select the path whose cell was clicked."""
    picked = st.session_state[f"{Key.HEAD_PATHS}_{end}"].selection.get("path") or []
    if picked:
        st.session_state[Key.SELECTED] = path_label(picked[0])
