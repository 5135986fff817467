"""The ways into a page: through app.py, always, and from an edge to its source."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from pages.shared.keys import Key


def enter_through_the_app() -> None:
    """Run app.py first where Streamlit has run the page alone.

    Streamlit 1.67 takes a folder named pages for an app of the old kind until the server's first
    `st.navigation`: a link to a page of a freshly started server then runs the page without app.py.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


def open_source(layer: int, head: int) -> None:
    """Go to the path-patching page of this source head; Streamlit carries the bound widgets over."""
    # The state for the page, and the URL for whoever shares it: Streamlit 1.67 writes neither from the other.
    st.session_state[Key.SOURCE_LAYER], st.session_state[Key.SOURCE_HEAD] = layer, head
    st.switch_page(
        "pages/path_patching.py",
        query_params={str(Key.SOURCE_LAYER): str(layer), str(Key.SOURCE_HEAD): str(head)},
    )
