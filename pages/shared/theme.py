"""Which theme the visitor sees, for colours that Streamlit does not set itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from analysis.charts import Theme


def current_theme() -> Theme:
    """The browser's theme; light until it is known."""
    return "dark" if st.context.theme.type == "dark" else "light"
