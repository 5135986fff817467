"""The pages, and the ways into one: through app.py, always; by its link; from an edge to its source."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.shared import address
from pages.shared.keys import Key


@dataclass(frozen=True)
class Leaf:
    """One page of the app."""

    file: str
    title: str
    icon: str


OVERVIEW = Leaf("pages/overview.py", "Overview", ":material/home:")
ATTRIBUTION = Leaf("pages/direct_logit_attribution.py", "Direct logit attribution", ":material/bar_chart:")
PATH_PATCHING = Leaf("pages/path_patching.py", "Path patching", ":material/conversion_path:")
ALL_SOURCES = Leaf("pages/all_sources.py", "All sources", ":material/grid_on:")
CIRCUIT = Leaf("pages/circuit.py", "Circuit", ":material/account_tree:")
PROMPT_SET = Leaf("pages/prompt_set.py", "Prompt set", ":material/library_books:")
SANITY_CHECKS = Leaf("pages/sanity_checks.py", "Sanity checks", ":material/verified:")
LEAVES = (OVERVIEW, ATTRIBUTION, PATH_PATCHING, ALL_SOURCES, CIRCUIT, PROMPT_SET, SANITY_CHECKS)


def enter_through_the_app() -> None:
    """Run app.py first where Streamlit has run the page alone.

    Streamlit 1.67 takes a folder named pages for an app of the old kind until the server's first
    `st.navigation`: a link to a page of a freshly started server then runs the page without app.py.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


def page_links() -> None:
    """A link to each page that takes the view along.

    The menu that `st.navigation` draws goes to the bare address of a page, and the view follows in a
    second step: Back would come through a page with another experiment.
    """
    with st.container(key="page_links", gap="xsmall"):
        for leaf in LEAVES:
            page_link(leaf, leaf.title)


def page_link(leaf: Leaf, label: str, **changed: str) -> None:
    """A link to `leaf` that takes the view along, but for the parameters that are `changed`."""
    st.page_link(
        leaf.file, label=label, icon=leaf.icon, query_params=address.query() | changed, width="stretch"
    )


def open_source(layer: int, head: int) -> None:
    """Go to the path-patching page of this source head."""
    st.session_state[Key.SOURCE_LAYER], st.session_state[Key.SOURCE_HEAD] = layer, head
    st.switch_page(PATH_PATCHING.file, query_params=address.query())
