"""Who looks at a page: sessions are told apart where strangers are served."""

from __future__ import annotations

from streamlit.runtime.scriptrunner import get_script_run_ctx

from analysis.policy import policy


def visitor() -> str | None:
    """The session for which the page is drawn; None on a server of one's own, where all are one."""
    context = get_script_run_ctx()
    return context.session_id if context is not None and policy().hosted else None
