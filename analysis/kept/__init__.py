"""What visitors keep: the results that a browser has looked at. Known by a name that only it knows."""

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

__all__ = [
    "LONGEST_NAME",
    "LONGEST_VIEW",
    "MOST_ENTRIES",
    "MOST_PINNED",
    "Entry",
    "History",
    "change_history",
    "looked_at",
    "pinned",
    "read_history",
    "renamed",
    "without",
]
