"""The map of all direct paths: head by head, folded to layers, or one block of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from analysis.labels import head_label
from analysis.requests import HEAD_INPUTS, HeadInput
from analysis.results import AllSourcesResult, EffectScale, PathMap
from pages.shared import address
from pages.shared.heights import draw_chart
from pages.shared.keys import Key
from pages.shared.listed import listed
from pages.shared.selection import path_label, take
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import altair as alt

    from analysis.charts import Theme

#: Of more heads a map is folded until somebody unfolds it: their names no longer stand beside it.
MOST_HEADS_UNFOLDED = 40

_CAPTIONS = {
    "layers": "Rows are layers of sources, columns layers of destinations; each cell is the strongest of all "
    "paths between their heads. Click a cell to unfold it.",
    "heads": "Rows are sources, columns destinations. Click a cell to see its path from near. Zoom with Ctrl "
    "and the wheel or a pinch, move with Shift and the pointer; a double click shows all again.",
    "block": "Rows are the heads of {source}, columns those of {destination}. Click a cell to see its path "
    "from near.",
}
_ONE_SCALE = " Colours are on one scale for query, key and value."
_GREY = " Grey has no causal path and is no measurement."


@dataclass(frozen=True)
class MapShown:
    """What the map shows: "layers", "heads", or the paths from one layer to another, such as "L3-L20"."""

    word: str

    @property
    def block(self) -> tuple[int, int] | None:
        """The layers of the block."""
        found = re.fullmatch(r"L(\d+)-L(\d+)", self.word)
        return None if found is None else (int(found[1]), int(found[2]))

    def marks(self, n_layers: int, n_heads: int) -> int:
        """How many cells are drawn."""
        blocks = 1 if self.block else n_layers * (n_layers - 1) // 2
        return blocks if self.word == "layers" else blocks * n_heads**2


def map_controls(n_layers: int, n_heads: int) -> MapShown:
    """What the map shows: a list to choose it from, and a button that folds a block again."""
    first = "layers" if n_layers * n_heads > MOST_HEADS_UNFOLDED and n_layers > 1 else "heads"
    titles = {"layers": "Layer by layer", "heads": "Head by head"} | {
        f"L{source}-L{destination}": f"L{source} → L{destination}"
        for source in range(n_layers)
        for destination in range(source + 1, n_layers)
    }
    address.take_lead({Key.MAP: first})
    held = st.session_state[Key.MAP]
    there_is_not = f"The model has no paths {held}; all of the map is shown."
    address.correct({Key.MAP: held if held in titles else first}, there_is_not)
    shown = MapShown(st.session_state[Key.MAP])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        help = "All paths layer by layer or head by head, or those from one layer to another."
        listed(Key.MAP_LIST, "Map", titles, shown.word, _take, help=help)
        if shown.block is not None:
            st.button("All layers", icon=":material/unfold_less:", on_click=_take, args=("layers",))
    return shown


def _take(word: str) -> None:
    st.session_state[Key.MAP] = word


def path_map(
    paths: AllSourcesResult | PathMap, shown: MapShown, scale: EffectScale, largest: float | None
) -> None:
    """Draw the map; a click on a block unfolds it, one on a path selects the path.

    `largest` as of `all_sources_chart`.
    """
    said = _CAPTIONS["heads" if shown.word == "heads" else "layers"] + _GREY
    if shown.block is not None:
        source, destination = (f"L{layer}" for layer in shown.block)
        said = _CAPTIONS["block"].format(source=source, destination=destination)
    _draw(map_chart(paths, shown, scale, largest, current_theme(), _selected()), shown, paths)
    st.caption(said + (_ONE_SCALE if largest is not None else ""))


def map_chart(
    paths: AllSourcesResult | PathMap,
    shown: MapShown,
    scale: EffectScale,
    largest: float | None,
    theme: Theme,
    selected: tuple[int, int, int, int] | None = None,
) -> alt.LayerChart:
    """The map as it is shown, with the path that is selected, or its block, framed."""
    from analysis.charts import all_sources_chart, block_chart, layer_map_chart

    block = shown.block
    if block is not None:
        own = selected[1::2] if selected and selected[::2] == block else None
        return block_chart(paths, block, scale, theme, largest, own)
    if shown.word == "layers":
        return layer_map_chart(paths, scale, theme, largest, selected and selected[::2])
    return all_sources_chart(paths, scale, theme, largest=largest)


def _draw(chart: alt.LayerChart, shown: MapShown, paths: AllSourcesResult | PathMap) -> None:
    if shown.word == "layers":
        event = draw_chart("map", chart, key=Key.LAYER_MAP, on_select="rerun", selection_mode="block")
        picked = event.selection.get("block") or []
        word = f"L{picked[0]['sl']}-L{picked[0]['dl']}" if picked else None
        take(Key.LAYER_MAP, picked, word, Key.MAP)
        return
    # Streamlit 1.67 forgets a zoom that it does not watch whenever new data come.
    watched = ("edge", "zoom") if shown.word == "heads" else ("edge",)
    event = draw_chart("map", chart, key=Key.EDGE_CHART, on_select="rerun", selection_mode=watched)
    picked = event.selection.get("edge") or []
    take(Key.EDGE_CHART, picked, label_of(picked[0], paths) if picked else None)


def label_of(edge: Mapping[str, int], paths: AllSourcesResult | PathMap) -> str:
    """The path that a cell stands for."""
    source, destination = head_label(edge["sl"], edge["sh"]), head_label(edge["dl"], edge["dh"])
    component: HeadInput
    if isinstance(paths, PathMap):
        component = HEAD_INPUTS[paths.component[edge["sl"], edge["sh"], edge["dl"], edge["dh"]]]
    else:
        component = paths.request.component
    return path_label({"source": source, "destination": destination, "component": component})


def _selected() -> tuple[int, int, int, int] | None:
    """Layers and heads of the path that is selected."""
    label = str(st.session_state.get(Key.SELECTED))
    found = re.fullmatch(r"L(\d+)H(\d+) → L(\d+)H(\d+)\.[qkv]", label)
    if found is None:
        return None
    sl, sh, dl, dh = map(int, found.groups())
    return sl, sh, dl, dh
