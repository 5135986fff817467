"""The link to what is seen: the whole of it in the address, or a short one that this server knows."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import streamlit as st

from analysis.errors import PathscopeError
from analysis.kept import keep_view
from pages.shared import address
from pages.shared.keys import Key
from pages.shared.notes import tell

#: Characters of a link that is pasted without a thought.
_SHORT = 200


def copy_link() -> None:
    """The link with a button that copies it; of a long one a short one, when it is asked for."""
    words = address.held()
    st.markdown(
        "**The link to this view** opens the page with every choice as it is now. Point at it or tap it: a "
        "button appears that copies it."
    )
    _link(words)
    if len(_to(words)) <= _SHORT:
        return
    name, same = st.session_state.get(Key.VIEW, ("", None))
    if words == same:
        _short(name)
    elif st.session_state.get(Key.SHORT_LINK, ("", None))[1] == words:
        _short(st.session_state[Key.SHORT_LINK][0])
    else:
        st.button("Make a short link", key=f"{Key.SHORT_LINK}_button", icon=":material/link:", on_click=_keep)


def _keep() -> None:
    words = address.held()
    try:
        st.session_state[Key.SHORT_LINK] = keep_view(words), words
    except PathscopeError as error:
        tell(f"There is no short link, as the server could not keep the view. {error}")


def _short(name: str) -> None:
    st.caption("Shorter: it works on this server, as long as its store keeps the view.")
    _link({str(Key.VIEW): name})


def _link(words: Mapping[str, str]) -> None:
    st.code(_to(words), language=None, wrap_lines=True)


def _to(words: Mapping[str, str]) -> str:
    query = urlencode(words)
    return f"{_page()}?{query}" if query else _page()


def _page() -> str:
    """The address of the page as the browser has it; nothing where it is not known."""
    url = st.context.url
    return url if isinstance(url, str) else ""
