"""The way into a page: through app.py, always."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def enter_through_the_app() -> None:
    """Run app.py first where Streamlit has run the page alone.

    Streamlit 1.67 takes a folder named pages for an app of the old kind until the server's first
    `st.navigation`: a link to a page of a freshly started server then runs the page without app.py.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
