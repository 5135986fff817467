"""The results that somebody has looked at, kept in the store under a name that only their browser knows.

An entry holds no numbers: the way back to its page, a sentence, a small picture and what was asked, by which
the store is searched. There is no list of histories, and the name does not stand in the store.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
from jaxtyping import Int8

from analysis.errors import PathscopeError
from analysis.results import Request, request_from_json, request_to_json
from analysis.store import Store, open_store

#: Entries of one history; of more, one leaves: that which is not pinned and was not looked at for longest.
MOST_ENTRIES = 60
#: Entries that may be pinned, so that there is room for what comes.
MOST_PINNED = 40
#: Characters of an entry's address and of what was asked, of its sentence, and of the name that it is given.
LONGEST_VIEW, LONGEST_SENTENCE, LONGEST_NAME = 16_000, 600, 80

#: Raised when what an entry holds changes.
_LAYOUT = 1


@dataclass(frozen=True, eq=False)
class Entry:
    """One result: its `page` by title, the `words` of the address that opens it, and what was `asked`.

    `asked` are the questions as JSON of plain values, `seen` the seconds since 1970 at which it was looked at
    last. The `picture` is a pattern in percent, as `analysis.charts` draws it; None where there is none.
    """

    page: str
    words: Mapping[str, str]
    asked: str
    sentence: str
    seen: float
    picture: Int8[np.ndarray, "row column"] | None = None
    name: str = ""
    pinned: bool = False

    @classmethod
    def of(cls, page: str, requests: tuple[Request[Any], ...], **others: Any) -> Entry:
        """The entry of what `requests` bring on `page`."""
        return cls(page=page, asked=json.dumps([request_to_json(one) for one in requests]), **others)

    @property
    def number(self) -> str:
        """By which it is known: the same page and questions, the same entry."""
        return sha256(json.dumps([self.page, self.asked]).encode()).hexdigest()[:16]

    @property
    def requests(self) -> tuple[Request[Any], ...]:
        """What was asked; nothing where this release does not know such questions."""
        try:
            return tuple(request_from_json(fields) for fields in json.loads(self.asked))
        except (KeyError, TypeError):
            return ()


#: Newest first.
History = tuple[Entry, ...]
Edit = Callable[[History], History]


def read_history(owner: str) -> History:
    """The history of the browser that is called `owner`."""
    store = open_store()
    return _read(store, _key(store, owner))


def change_history(owner: str, edit: Edit) -> str | None:
    """Keep what `edit` makes of a history; a sentence where it could not be kept."""
    store = open_store()
    key = _key(store, owner)
    with store.lock(key):
        history = edit(_read(store, key))
        if not history:
            store.delete(key)
            return None
        pictures = {
            str(number): entry.picture for number, entry in enumerate(history) if entry.picture is not None
        }
        return store.put(key, pictures, {"entries": [_plain(entry) for entry in history]})


def looked_at(entry: Entry) -> Edit:
    """An edit that puts `entry` first, under the name that it has been given, and bounds the history."""

    def edit(history: History) -> History:
        if len(entry.asked) + sum(map(len, entry.words.values())) > LONGEST_VIEW:
            return history
        known = next((one for one in history if one.number == entry.number), entry)
        first = replace(
            entry, sentence=entry.sentence[:LONGEST_SENTENCE], name=known.name, pinned=known.pinned
        )
        kept = [first, *(one for one in history if one.number != entry.number)]
        while len(kept) > MOST_ENTRIES:
            kept.remove(next(one for one in reversed(kept) if not one.pinned))
        return tuple(kept)

    return edit


def renamed(number: str, name: str) -> Edit:
    """An edit that calls an entry `name`, or by nothing but its sentence where that is empty."""
    return lambda history: _with(history, number, name=name.strip()[:LONGEST_NAME])


def pinned(number: str, held: bool) -> Edit:
    """An edit after which an entry stays, or does not. Raises `PathscopeError` for one too many."""

    def edit(history: History) -> History:
        if held and sum(one.pinned for one in history) >= MOST_PINNED:
            raise PathscopeError(f"{MOST_PINNED} results are pinned, the most that may be. Unpin one first.")
        return _with(history, number, pinned=held)

    return edit


def without(number: str | None) -> Edit:
    """An edit that takes an entry out; all of them for None."""
    return lambda history: tuple(one for one in history if number is not None and one.number != number)


def _with(history: History, number: str, **changed: Any) -> History:
    return tuple(replace(one, **changed) if one.number == number else one for one in history)


def _key(store: Store, owner: str) -> str:
    return store.key("history", owner=owner, layout=_LAYOUT)


def _read(store: Store, key: str) -> History:
    found = store.get(key)
    if found is None:
        return ()
    entries = enumerate(found.values["entries"])
    return tuple(Entry(**fields, picture=found.arrays.get(str(number))) for number, fields in entries)


def _plain(entry: Entry) -> dict[str, Any]:
    fields = {name: value for name, value in vars(entry).items() if name != "picture"}
    return fields | {"words": dict(entry.words)}
