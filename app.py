"""Pathscope: which component wrote this answer, and which head told which later head."""

import streamlit as st

st.set_page_config(page_title="Pathscope", page_icon="🔬", layout="wide")

st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page(
            "pages/direct_logit_attribution.py",
            title="Direct logit attribution",
            icon=":material/bar_chart:",
        ),
        st.Page("pages/path_patching.py", title="Path patching", icon=":material/conversion_path:"),
        st.Page("pages/all_sources.py", title="All sources", icon=":material/grid_on:"),
        st.Page("pages/sanity_checks.py", title="Sanity checks", icon=":material/verified:"),
    ]
).run()
