"""The address: the whole view stands in it, and each deliberate change of the view is one step of Back.

Streamlit 1.67 can bind a widget to the address by itself (`bind="query-params"`), but then replaces the
step that the visitor stands on when a widget is used, makes a step of every key that code sets, and on
the way back sets each widget to its own default, an empty text. Here no widget is bound: the address is
read where it leads (a first visit, Back, Forward), and written whole, at once, wherever it follows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from analysis.kept import read_view
from analysis.labels import model_title, printable
from analysis.policy import policy
from analysis.requests import Experiment
from pages.shared.address_fields import Field, fields
from pages.shared.keys import B_PROMPT_KEYS, PROMPT_KEYS, SOURCE_KEYS, Key
from pages.shared.notes import note

#: Characters of an address that are read, after the question mark: a server takes 64 KiB for all that leads
#: a request.
LONGEST = 60_000
#: In place of a longer address, this parameter tells how long it is.
TOO_LONG = "address_length"

#: Controls whose options follow from the prompts and the model.
_UNDER_OTHER_TITLES = (Key.POSITION, Key.B_POSITION)


def enter() -> None:
    """Bring the session and the address together; to be called in each run, before any control is drawn."""
    state = st.session_state
    leads = Key.PAGE not in state or _browser_went_through_its_history()
    words = _words() if leads else st.query_params.to_dict()
    for field in fields():
        word = words.get(field.key)
        if leads or (arrived() and word != state[Key.WRITTEN].get(field.key)):
            # Of a link to another page that leads which differs from the page that it stood on.
            value = None if word is None else field.read(word)
            if word is not None and value is None:
                note(_refused(field, word))
            state[field.key] = field.default if value is None else value
        elif arrived() or field.key in _UNDER_OTHER_TITLES or field.key not in state:
            # Set anew, because Streamlit 1.67 forgets on another page, or under other titles, what was set
            # before a widget's first run. Nowhere else: what is typed or clicked meanwhile would be undone.
            state[field.key] = state.get(field.key, field.default)
    write()
    note(_left_out())


def _words() -> dict[str, str]:
    """What the address asks for. What is too long is told and left out: of the prompts all four, which only
    fit each other.
    """
    words: dict[str, str] = st.query_params.to_dict()
    shown = "Shown is the first ready example."
    if TOO_LONG in words:
        length = int(words[TOO_LONG]) if re.fullmatch(r"[0-9]{1,12}", words[TOO_LONG]) else LONGEST + 1
        note(f"The address has {length:,} characters, and at most {LONGEST:,} are read. {shown}")
        return {}
    words = _expanded(words)
    most = policy().prompt_characters
    for key in (*PROMPT_KEYS, *B_PROMPT_KEYS):
        if (length := len(words.get(key, ""))) > most:
            note(
                f"The address asks for {key} = a text of {length:,} characters, and at most {most:,} are "
                f"read{policy().way_out(' (ten for each of PATHSCOPE_PROMPT_TOKENS).')} {shown}"
            )
            return {
                other: word for other, word in words.items() if other not in (*PROMPT_KEYS, *B_PROMPT_KEYS)
            }
    return words


def _expanded(words: dict[str, str]) -> dict[str, str]:
    """`words` with what a short link stands for in its place."""
    name = words.pop(Key.VIEW, None)
    if name is None:
        return words
    found = read_view(name)
    if found is None:
        note("The short link's view is not in this server's store (any more). Ask for the whole link.")
        return words
    st.session_state[Key.VIEW] = name, found
    return found | words


def _left_out() -> str | None:
    """Says so where the view is too long for an address."""
    missing = held().keys() - _in_bounds(held()).keys()
    if not missing:
        return None
    return (
        f"This view is too long for an address, which has at most {LONGEST:,} characters: a link to it "
        f"leaves out {' and '.join(sorted(missing))}."
    )


def _refused(field: Field, word: str) -> str:
    """What the address asks for and there is not, and what is shown instead."""
    if field.key in (Key.MODEL, Key.B_MODEL):
        instead = "that of A" if field.default is None else repr(field.default)
        return f"The address asks for a model that is not offered here; shown is {instead}."
    instead = "nothing" if field.default in (None, ()) else field.title(field.default)
    if field.key in (Key.COMPONENT, *SOURCE_KEYS):
        instead = "that of the strongest path"
    elif field.key == Key.MAP:
        instead = "all of it"
    elif field.key.startswith("b_"):
        instead = "that of A"
    elif field.key == Key.SET:
        instead = "that of the sidebar's pair"
    return (
        f"The address asks for {field.key} = {printable(word, 40)!r}, which there is not; shown is {instead}."
    )


def arrived() -> bool:
    """Whether the session's last run was not of this page; true until `entered`."""
    return st.session_state.get(Key.PAGE) != _page()


def entered() -> None:
    """Say that the sidebar of this page has been drawn with what the session holds."""
    st.session_state[Key.PAGE] = _page()


def write() -> None:
    """Make the address say what the session holds, in one step; nothing happens where it does already."""
    known = {TOO_LONG, Key.VIEW, *(str(field.key) for field in fields())}
    foreign = {key: word for key, word in st.query_params.items() if key not in known}
    own = query()
    if st.query_params.to_dict() != foreign | own:
        st.query_params.from_dict(foreign | own)
    st.session_state[Key.WRITTEN] = own


def correct(values: Mapping[Key, Any], said: str | None = None) -> None:
    """Hold `values` in place of what cannot be shown, and begin the run anew where that changes anything.

    The new run says `said`.

    To be called before the widgets of these keys are drawn. The links in the sidebar have been drawn, and
    have to take along what the address says from now on.
    """
    if any(st.session_state[key] != value for key, value in values.items()):
        for key, value in values.items():
            st.session_state[key] = value
        st.session_state[Key.CORRECTED] = said
        write()
        st.rerun()
    note(st.session_state.pop(Key.CORRECTED, None))


def take_lead(values: Mapping[Key, Any]) -> None:
    """Hold `values` where nobody has chosen; they stay out of the address, and give way to the next lead.

    To be called before the widgets of these keys are drawn.
    """
    state = st.session_state
    unchosen = [key for key in values if state.get(key) is None or _is_lead(key)]
    for key in unchosen:
        state[key] = values[key]
    state[Key.LEAD] = {**state.get(Key.LEAD, {}), **values}


def _is_lead(key: Key) -> bool:
    """Whether what is held under `key` is what was taken for want of a choice. A source is chosen whole."""
    lead, state = st.session_state.get(Key.LEAD, {}), st.session_state
    together = SOURCE_KEYS if key in SOURCE_KEYS else (key,)
    return all(
        other in lead and other not in st.query_params and state.get(other) == lead[other]
        for other in together
    )


def hold(words: Mapping[str, str]) -> None:
    """Hold what an address with these `words` asks for; a callback, since no widget may be drawn yet."""
    for field in fields():
        word = words.get(field.key)
        value = None if word is None else field.read(word)
        st.session_state[field.key] = field.default if value is None else value


def query() -> dict[str, str]:
    """The parameters of the view at hand: that of the short link which led here, as long as it is this view,
    else all; the longest are left out where an address cannot hold them.
    """
    words = held()
    name, same = st.session_state.get(Key.VIEW, ("", None))
    return {str(Key.VIEW): name} if words == same else _in_bounds(words)


def _in_bounds(words: dict[str, str]) -> dict[str, str]:
    words = dict(words)
    while len(urlencode(words)) > LONGEST:
        words.pop(max(words, key=lambda key: len(words[key])))
    return words


def link(experiment: Experiment) -> str:
    """The whole address of the view at hand, to be opened elsewhere.

    Empty where it is not known, and where it would hold the path of a folder of this machine.
    """
    here = st.context.url
    if not here or model_title(experiment.model) != experiment.model:
        return ""
    words = _in_bounds(held())
    return f"{here}?{urlencode(words)}" if words else here


def held() -> dict[str, str]:
    """Every field that somebody chose otherwise, and its word."""
    values = [(field, st.session_state.get(field.key)) for field in fields()]
    return {
        str(field.key): field.title(value)
        for field, value in values
        if value is not None and value != field.default and not _is_lead(field.key)
    }


def _page() -> str:
    context = get_script_run_ctx()
    return "" if context is None else context.page_script_hash


def _browser_went_through_its_history() -> bool:
    """Whether Back or Forward began this run. Streamlit 1.67 tells it only in the run's context."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation
