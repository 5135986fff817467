"""Which sessions may send files: those whose page has drawn an uploader, and a few files each.

Streamlit 1.67 takes a file from any session, whatever its page shows, and keeps it as long as the session.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from streamlit.runtime.scriptrunner import get_script_run_ctx

#: Files that a session may hold at once; a page that shows one at a time deletes what it replaces.
MOST_FILES = 4
#: Sessions that are remembered; of more, the one that has been quiet longest has to open its page again.
_MOST_SESSIONS = 1000


@dataclass
class _Session:
    expected: bool = False
    held: set[str] = field(default_factory=set)


_sessions: OrderedDict[str, _Session] = OrderedDict()
_guard = Lock()


def expect_files(expected: bool) -> None:
    """Say whether the page of this session, as it is drawn now, has an uploader."""
    context = get_script_run_ctx()
    if context is None:
        return
    with _guard:
        if expected or context.session_id in _sessions:
            _sessions.setdefault(context.session_id, _Session()).expected = expected
            _sessions.move_to_end(context.session_id)
        while len(_sessions) > _MOST_SESSIONS:
            _sessions.popitem(last=False)


def refusal(session: str, file: str) -> str | None:
    """Why `session` may not send `file`; None where it may, and then the file counts as held."""
    with _guard:
        known = _sessions.get(session)
        if known is None or not known.expected:
            return "This page takes no files. Open a page that has an uploader."
        if len(known.held | {file}) > MOST_FILES:
            return f"This session holds {MOST_FILES} files already. Take one away, or open the page anew."
        known.held.add(file)
        return None


def deleted(session: str, file: str) -> None:
    """Say that `session` has taken `file` back."""
    with _guard:
        if session in _sessions:
            _sessions[session].held.discard(file)
