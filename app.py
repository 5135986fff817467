"""Pathscope: which component wrote this answer, who told whom, and which paths are the mechanism."""

import streamlit as st

from pages.shared.navigation import LEAVES, OVERVIEW

# First: else the navigation gives the tab the page's icon, for which the browser asks a foreign host.
st.set_page_config(page_icon="🔬", layout="wide")

# The sidebar draws the links: they take the view along.
page = st.navigation(
    [st.Page(leaf.file, title=leaf.title, icon=leaf.icon, default=leaf is OVERVIEW) for leaf in LEAVES],
    position="hidden",
)
st.set_page_config(page_title=f"{page.title} · Pathscope")
page.run()
