"""One selection for all pages: a node or a path by its label, in the address and in every picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.keys import Key
from pages.shared.terms import meaning_of

if TYPE_CHECKING:
    import pandas as pd


def path_label(path: Mapping[str, str] | pd.Series) -> str:
    """The label of a row of a table of paths, as the graph has it: "L0H7 → L2H5.v"."""
    return f"{path['source']} → {path['destination']}.{path['component']}"


def take(key: Key, pick: object, label: str | None, into: Key = Key.SELECTED) -> None:
    """Select `label`, if it is not None, for a `pick` in the chart or table `key`: once for each pick.

    It is held under the key `into`, which is no widget's.

    A chart or a table tells its pick in every run until there is another; what was selected elsewhere, or
    by Back, since then stays.
    """
    seen = st.session_state.setdefault(Key.PICKED, {})
    before, seen[key] = seen.get(key), pick
    if label is not None and pick != before:
        st.session_state[into] = label
        st.rerun()


def selection_box(
    key: Key, told: str, labels: Sequence[str], selected: str | None, name: Callable[[str], str] = str
) -> None:
    """A list of what can be selected in the picture above it, for keys and screen readers.

    `told` stands above it, `selected` of `labels` is shown in it; `name` gives the words for a label.
    """

    def choose() -> None:
        st.session_state[Key.SELECTED] = st.session_state[key]

    # As it is selected, however it was: by a click, on another page, by Back.
    st.session_state[key] = selected if selected in labels else None
    st.selectbox(
        told,
        labels,
        index=None,
        format_func=name,
        key=key,
        on_change=choose,
        placeholder="Nothing",
        help=meaning_of("node", "path"),
    )


def selected_path(table: pd.DataFrame) -> pd.Series | None:
    """The row of a table of paths that is selected, be it here or on another page; None if there is none."""
    labels = table["source"] + " → " + table["destination"] + "." + table["component"]
    found = table[labels == st.session_state.get(Key.SELECTED)]
    return found.iloc[0] if len(found) else None
