"""Who looks at a page, and from where: sessions are told apart where strangers are served."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from analysis.policy import policy
from pages.shared.connection import ADDRESS


def visitor() -> str | None:
    """The session for which the page is drawn; None on a server of one's own, where all are one."""
    context = get_script_run_ctx()
    return context.session_id if context is not None and policy().hosted else None


def visitors_address() -> str:
    """The address that the page's connection comes from, as the door has told it; else the session."""
    return st.context.headers.get(ADDRESS) or visitor() or ""
