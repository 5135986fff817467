"""Pathscope: which component wrote this answer, and which head told which later head."""

import streamlit as st

from pages.shared.navigation import LEAVES, OVERVIEW

st.set_page_config(page_title="Pathscope", page_icon="🔬", layout="wide")

# The sidebar draws the links: they take the view along.
st.navigation(
    [st.Page(leaf.file, title=leaf.title, icon=leaf.icon, default=leaf is OVERVIEW) for leaf in LEAVES],
    position="hidden",
).run()
