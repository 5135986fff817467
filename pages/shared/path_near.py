"""One path between two heads from near, and the ways on from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.labels import number, percent
from analysis.requests import METRIC_UNITS
from analysis.results import HeadPathsRequest, StrongestPathsRequest
from pages.shared.keys import Key
from pages.shared.navigation import CIRCUIT, page_link, source_button
from pages.shared.near import near_panel
from pages.shared.path_positions import by_position
from pages.shared.selection import path_label
from pages.shared.set_item import path_over_the_set

if TYPE_CHECKING:
    import pandas as pd

#: The ends of a path, and where a table of paths has their layer and head.
_ENDS = {"source": ("sl", "sh"), "destination": ("dl", "dh")}


def path_from_near(
    asked: StrongestPathsRequest | HeadPathsRequest, path: pd.Series, rank: str, *, elsewhere: bool
) -> None:
    """What one path is worth, the destination's attention before and after its patch, the ways on.

    `path` is a row of a table of paths, `rank` a sentence on its place among others; `elsewhere` than on
    the page of one head's paths, buttons lead there.
    """
    source, destination = path["source"], path["destination"]
    label = path_label(path)
    with st.container(border=True, key="path_from_near"):
        st.header(label)
        share = "" if path.isna()["recovery"] else f", {percent(path['recovery'], 1)} of the difference"
        effect = f"{number(path['effect'], '+.4f')} {METRIC_UNITS[asked.metric]}"
        st.text(f"{effect}{share}, LayerNorm {asked.layer_norm}. {rank}")
        reader = label.partition(" → ")[2]
        by_position(asked, (source, reader))
        near_panel(asked.experiment, asked.metric, destination, (source, reader))
        path_over_the_set(asked, (source, reader))
        with st.container(horizontal=True, vertical_alignment="center"):
            for end, place in _ENDS.items():
                layer, head = (int(path[name]) for name in place)
                source_button(
                    f"All paths of {path[end]}", f"{Key.PATHS_OF}_{end}", layer, head, elsewhere=elsewhere
                )
            page_link(CIRCUIT, "This path in the circuit", selected=label)


def rank_of(path: pd.Series, table: pd.DataFrame, of: str) -> str:
    """The place of `path`, a row of `table`, which is in order of size."""
    return f"Number {list(table.index).index(path.name) + 1:,} of the {len(table):,} {of}."
