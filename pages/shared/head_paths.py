"""Every path of one head on one scale: whom it tells, who tells it, and one of them from near."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import answer
from analysis.labels import number, percent
from analysis.requests import METRIC_UNITS
from analysis.results import EffectScale, HeadPathsRequest, PathsResult
from pages.shared.cards import answer_or_stop
from pages.shared.keys import Key
from pages.shared.navigation import CIRCUIT, PATH_PATCHING, page_link
from pages.shared.near import near_panel
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import pandas as pd

    from analysis.charts import HeadEnd

_TITLES: dict[HeadEnd, str] = {"source": "Whom {} tells", "destination": "Who tells {}"}
_NOBODY: dict[HeadEnd, str] = {
    "source": "{} is in the last layer: no later head can read it.",
    "destination": "{} is in the first layer: no earlier head can tell it anything.",
}


def head_paths_panel(request: HeadPathsRequest, scale: EffectScale) -> None:
    """Both maps of the head's paths, and the path that is selected, else the strongest, from near."""
    result = answer_or_stop(lambda: answer(request), f"Patching every path of {request.label}").result
    table = result.table()
    ends: tuple[HeadEnd, ...] = ("source", "destination")
    for end in ends:
        st.subheader(_TITLES[end].format(request.label))
        if (table[end] == request.label).any():
            _map(result, end, scale)
        else:
            st.caption(_NOBODY[end].format(request.label))
    if len(table):
        path_from_near(request, _selected(table), table)


def _map(result: PathsResult, end: HeadEnd, scale: EffectScale) -> None:
    """Draw the paths of which the head is the `end`; a click selects one."""
    from analysis.charts import head_paths_chart

    event = st.altair_chart(
        head_paths_chart(result, end, scale, current_theme()),
        width="stretch",
        key=f"{Key.HEAD_PATHS}_{end}",
        on_select=lambda: _take_click(end),
        selection_mode="path",
    )
    del event  # `_take_click` has read it


def _take_click(end: HeadEnd) -> None:
    """Select the path whose cell was clicked."""
    picked = st.session_state[f"{Key.HEAD_PATHS}_{end}"].selection.get("path") or []
    if picked:
        st.session_state[Key.SELECTED] = "{source} → {destination}.{component}".format_map(picked[0])


def _take_source(layer: int, head: int) -> None:
    """Look at another head's paths."""
    st.session_state[Key.SOURCE_LAYER], st.session_state[Key.SOURCE_HEAD] = int(layer), int(head)


def _selected(table: pd.DataFrame) -> pd.Series:
    """The path of the table that is selected, be it here or on another page; else the strongest."""
    labels = table["source"] + " → " + table["destination"] + "." + table["component"]
    found = table[labels == st.session_state.get(Key.SELECTED)]
    return (found if len(found) else table).iloc[0]


def path_from_near(request: HeadPathsRequest, path: pd.Series, table: pd.DataFrame) -> None:
    """What one path is worth, and the destination's attention before and after its patch."""
    source, destination, reads = path["source"], path["destination"], path["component"]
    with st.container(border=True, key="path_from_near"):
        st.subheader(f"{source} → {destination}.{reads}")
        share = "" if path.isna()["recovery"] else f", {percent(path['recovery'], 1)} of the difference"
        unit = METRIC_UNITS[request.metric]
        rank = f"Number {int(path.name) + 1:,} of the {len(table):,} paths of {request.label}."
        st.text(f"{number(path['effect'], '+.4f')} {unit}{share}, LayerNorm {request.layer_norm}. {rank}")
        near_panel(request.experiment, request.metric, destination, (source, f"{destination}.{reads}"))
        with st.container(horizontal=True):
            is_source = source == request.label
            other = (path["dl"], path["dh"]) if is_source else (path["sl"], path["sh"])
            st.button(
                f"All paths of {destination if is_source else source}",
                key=Key.OTHER_END,
                icon=PATH_PATCHING.icon,
                on_click=_take_source,
                args=other,
            )
            page_link(CIRCUIT, "This path in the circuit", selected=f"{source} → {destination}.{reads}")
