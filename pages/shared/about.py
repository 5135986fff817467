"""What a server for strangers allows, where they can read it."""

from __future__ import annotations

import streamlit as st

from analysis.policy import OWN_MACHINE, policy


def about_this_server() -> None:
    """A panel with the policy; on a server of one's own there is none."""
    rules = policy()
    if rules.hosted:
        with st.expander("About this demo", icon=":material/info:"):
            for sentence in (*rules.sentences(), OWN_MACHINE):
                st.text(sentence)
