"""Views behind short links: what an address would hold, kept in the store under a digest of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from analysis.errors import PathscopeError
from analysis.store import open_store

_NAME = re.compile(r"[0-9a-f]{40}")


def keep_view(words: Mapping[str, str]) -> str:
    """Keep the parameters of an address; the name of the view, the same for the same words.

    Nobody comes upon a name who does not know the words. Raises `PathscopeError` where nothing can be kept.
    """
    store = open_store()
    key = store.key("view", words=dict(words))
    note = store.put(key, {}, {"words": dict(words)})
    if note is not None:
        raise PathscopeError(note)
    return key.partition("/")[2]


def read_view(name: str) -> dict[str, str] | None:
    """The parameters of the view of that name; None where it is not (or no longer) in the store."""
    found = open_store().get(f"view/{name}") if _NAME.fullmatch(name) else None
    return None if found is None else dict(found.values["words"])
