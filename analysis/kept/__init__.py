"""What visitors keep: the results that a browser has looked at, and views behind short links."""

from analysis.kept.history import (
    LONGEST_NAME,
    LONGEST_VIEW,
    MOST_ENTRIES,
    MOST_PINNED,
    Entry,
    History,
    change_history,
    looked_at,
    pinned,
    read_history,
    renamed,
    without,
)
from analysis.kept.views import keep_view, read_view

__all__ = [
    "LONGEST_NAME",
    "LONGEST_VIEW",
    "MOST_ENTRIES",
    "MOST_PINNED",
    "Entry",
    "History",
    "change_history",
    "keep_view",
    "looked_at",
    "pinned",
    "read_history",
    "read_view",
    "renamed",
    "without",
]
